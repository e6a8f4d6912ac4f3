/// Where every line went: `linesSent + linesDropped + linesRejected + pending` is all that was handed in.
///
/// "Sent" means that the kernel took the datagram. UDP tells nobody what happens after that; the server's
/// ledger does.
public struct DatagramStatistics: Sendable, Hashable {
    public var linesSent = 0
    public var datagramsSent = 0
    public var bytesSent = 0
    /// In datagrams that the kernel did not take.
    public var linesDropped = 0
    public var datagramsDropped = 0
    /// Longer than a datagram, or not a finite number, or after `shutdown`.
    public var linesRejected = 0
    /// Datagrams that were sent and are known to have found nobody listening. Never the whole truth.
    public var datagramsRefused = 0

    public init() {}
}
