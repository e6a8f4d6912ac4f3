internal import Synchronization

/// A wall clock that moves only when told. Unix nanoseconds.
package final class ManualClock: Sendable {
    private let time: Atomic<UInt64>

    package init(_ time: UInt64 = 1_700_000_000_000_000_000) { self.time = Atomic(time) }
    package var now: UInt64 { time.load(ordering: .relaxed) }
    package func advance(seconds: UInt64) { time.add(seconds * 1_000_000_000, ordering: .relaxed) }
    package func set(_ value: UInt64) { time.store(value, ordering: .relaxed) }
}
