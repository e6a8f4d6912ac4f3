internal import Synchronization

/// How long requests wait: each for a thread, and one at a time for the store, from the end of its decoding to its
/// answer. Of what still waits for the store the age counts, so that a standstill shows. The work itself does not count:
/// a large body takes its time on an idle machine too.
final class QueueDelay: Sendable {
    /// When the request began to wait that is followed now; zero: none is.
    private let began = Atomic<UInt64>(0)
    /// The longest wait that ended since the last ``take(now:)``.
    private let longest = Atomic<UInt64>(0)

    /// - Parameter nanoseconds: of a wait that is over.
    func note(_ nanoseconds: UInt64) { longest.max(nanoseconds, ordering: .relaxed) }

    /// Forgets the waits that are over.
    func forget() { longest.store(0, ordering: .relaxed) }

    /// - Parameter now: nanoseconds, not zero.
    /// - Returns: whether this request is followed; ``end(now:)`` must be called for it then.
    func begin(now: UInt64) -> Bool {
        now > 0 && began.compareExchange(expected: 0, desired: now, ordering: .relaxed).exchanged
    }

    func end(now: UInt64) {
        let start = began.exchange(0, ordering: .relaxed)
        if start > 0, now > start { note(now - start) }
    }

    /// The longest since the last call, in nanoseconds; zero when nothing waited.
    func take(now: UInt64) -> UInt64 {
        let ended = longest.exchange(0, ordering: .relaxed)
        let start = began.load(ordering: .relaxed)
        return start > 0 && now > start ? max(ended, now - start) : ended
    }
}

/// How many bytes requests may hold so that what is held is worked off within a bounded time.
///
/// There is no bound until requests wait longer than they may; a burst that finds the daemon idle passes whole. From
/// then on the bound is what drains within the target at the measured rate, until requests have waited less than half of
/// the target for half a second.
struct QueueBound {
    /// `.max`: none.
    private(set) var bytes = Int.max
    private var calmLooks = 0

    private static let calmLooksToLift = 5

    /// - Parameters:
    ///   - delay: nanoseconds, see ``QueueDelay``.
    ///   - longest: nanoseconds that requests may wait before there is a bound.
    ///   - target: nanoseconds, less than `longest`.
    ///   - rate: bytes given back a second.
    ///   - floor: the least bound: so much is always let in.
    mutating func look(delay: UInt64, longest: UInt64, target: UInt64, rate: Double, floor: Int) {
        calmLooks = delay < target / 2 ? calmLooks + 1 : 0
        if bytes == .max, delay <= longest { return }
        if calmLooks >= Self.calmLooksToLift {
            bytes = .max
        } else {
            bytes = max(floor, Int(min(rate * Double(target) / 1e9, Double(Int.max / 2))))
        }
    }
}
