internal import NIOCore

/// Whether a body comes at all: it is measured anew over each period of the length that may be, so that neither a
/// fast beginning pays for a slow end nor a pause of ours counts as one of the peer.
struct BodySpeed {
    private let period: TimeAmount
    /// Bytes that a period needs.
    let leastBytes: Int
    private var since: NIODeadline
    private var bytes = 0

    /// - Parameters:
    ///   - least: bytes a second.
    ///   - period: over which they are looked for, the first of which begins now.
    init(least: Int, over period: Duration, from now: NIODeadline = .now()) {
        self.period = TimeAmount(period)
        let milliseconds = Int(clamping: self.period.nanoseconds / 1_000_000)
        leastBytes = least.multipliedReportingOverflow(by: milliseconds).partialValue / 1_000
        since = now
    }

    /// When this period is over.
    var due: NIODeadline { since + period }

    mutating func take(_ count: Int) { bytes &+= count }

    /// Whether this period is over and too little came in it. Begins the next one when it is over.
    mutating func isTooSlow(now: NIODeadline) -> Bool {
        guard now >= due else { return false }
        // Who could not look in time could not read in time either.
        let wasPaused = now - due > Self.pause
        let isTooLittle = bytes < leastBytes
        bytes = 0
        since = now
        return isTooLittle && !wasPaused
    }

    /// So late a look is one of a process that stood still.
    private static let pause = TimeAmount.seconds(2)
}
