internal import Telemetry
internal import WireFormats

/// What is known of one life of a source, and the numbers of its last datagrams.
///
/// Confined to the lock of ``DatagramSources``.
final class DatagramLife {
    /// The first sequence number that is accounted for: 1, or that of the first datagram that came.
    private let base: UInt64
    /// Of the newest datagram.
    private(set) var sequence: UInt64
    private(set) var produced: UInt64
    private(set) var dropped: UInt64
    private(set) var account = DatagramAccount()
    private(set) var heard: UInt64 = 0
    /// Bit `n % windowNumbers`: number `n` came; for the numbers up to ``sequence``.
    private var window = [UInt64](repeating: 0, count: DatagramLife.windowNumbers / 64)

    static let windowNumbers = Limits.datagramWindow
    /// What a source cannot have counted between two datagrams, so that no sum ever wraps.
    private static let largestStep: UInt64 = 1 << 40

    /// - Parameter isWhole: every datagram of this life was sent to this process; else it begins with this one.
    init(_ head: CrestDatagramHead, isWhole: Bool) {
        base = isWhole ? 1 : head.sequence
        sequence = base &- 1
        // What was produced and dropped before the first datagram is before the account.
        produced = isWhole ? 0 : head.produced &- UInt64(head.items)
        dropped = isWhole ? 0 : head.dropped
    }

    private var sent: UInt64 { produced &- dropped }

    /// Accounts for a datagram, in `total` too.
    /// - Returns: why it must not be taken; nothing is changed then.
    func take(_ head: CrestDatagramHead, now: UInt64, in total: inout DatagramAccount) -> CrestDatagramRejection? {
        var step = DatagramStep()
        if head.sequence > sequence {
            guard let growth = advance(to: head) else { return .inconsistent }
            step = growth
        } else {
            guard sequence - head.sequence < UInt64(Self.windowNumbers) else { return .tooLate }
            guard !isMarked(head.sequence) else { return .duplicate }
            step.reordered = 1
            step.received = UInt64(head.items)
            if head.sequence < base {
                step.produced = step.received
            } else {
                guard account.lost >= step.received else { return .inconsistent }
                step.recovered = step.received
            }
        }
        mark(head.sequence)
        heard = now
        account.add(step)
        total.add(step)
        return nil
    }

    /// Goes on to a later datagram; nil when its counts contradict the last ones.
    private func advance(to head: CrestDatagramHead) -> DatagramStep? {
        let skipped = head.sequence - sequence - 1
        let before = head.sent &- UInt64(head.items)
        guard skipped <= Self.largestStep, head.produced >= produced, head.produced - produced <= Self.largestStep,
            head.dropped >= dropped, before >= sent, skipped > 0 || before == sent
        else { return nil }
        var step = DatagramStep()
        step.produced = head.produced - produced
        step.droppedInClient = head.dropped - dropped
        step.gap = before - sent
        step.received = UInt64(head.items)
        step.missing = skipped
        forget(from: sequence &+ 1, through: head.sequence)
        (sequence, produced, dropped) = (head.sequence, head.produced, head.dropped)
        return step
    }

    private func isMarked(_ number: UInt64) -> Bool {
        let bit = number % UInt64(Self.windowNumbers)
        return window[Int(bit / 64)] & 1 << (bit % 64) != 0
    }

    private func mark(_ number: UInt64) {
        let bit = number % UInt64(Self.windowNumbers)
        window[Int(bit / 64)] |= 1 << (bit % 64)
    }

    /// Takes the marks of numbers away that have left the window.
    private func forget(from first: UInt64, through last: UInt64) {
        guard last - first < UInt64(Self.windowNumbers) else {
            for index in window.indices { window[index] = 0 }
            return
        }
        for number in first...last {
            let bit = number % UInt64(Self.windowNumbers)
            window[Int(bit / 64)] &= ~(1 << (bit % 64))
        }
    }
}

/// What one datagram adds to an account.
private struct DatagramStep {
    var produced: UInt64 = 0
    var received: UInt64 = 0
    var droppedInClient: UInt64 = 0
    var gap: UInt64 = 0
    var recovered: UInt64 = 0
    var missing: UInt64 = 0
    var reordered: UInt64 = 0
}

extension DatagramAccount {
    fileprivate mutating func add(_ step: DatagramStep) {
        produced &+= step.produced
        received &+= step.received
        droppedInClient &+= step.droppedInClient
        gap &+= step.gap
        recovered &+= step.recovered
        datagrams &+= 1
        missing &+= step.missing
        reordered &+= step.reordered
    }
}
