internal import Synchronization

/// The buckets of addresses that send. When there are too many, those that find no place share one.
package final class SourceBuckets<Buckets: Sendable>: Sendable {
    private let most: Int
    private let make: @Sendable (_ now: UInt64) -> Buckets
    private let isFull: @Sendable (inout Buckets, _ now: UInt64) -> Bool
    private let state: Mutex<State>

    private struct State {
        var sources: [SourceKey: Buckets] = [:]
        var shared: Buckets?
        var nextSweep: UInt64 = 0
    }

    private static var sweepNanoseconds: UInt64 { 1_000_000_000 }

    /// - Parameters:
    ///   - make: new buckets, full.
    ///   - isFull: whether buckets are as good as new, so that they can be forgotten.
    package init(
        most: Int, make: @escaping @Sendable (_ now: UInt64) -> Buckets,
        isFull: @escaping @Sendable (inout Buckets, _ now: UInt64) -> Bool
    ) {
        self.most = most
        self.make = make
        self.isFull = isFull
        state = Mutex(State())
    }

    /// Works on the buckets of a source.
    package func with<Result>(_ source: SourceKey, now: UInt64, _ body: (inout Buckets) -> Result) -> Result {
        state.withLock { state in
            if let index = state.sources.index(forKey: source) { return body(&state.sources.values[index]) }
            if state.sources.count >= most { sweep(&state, now) }
            guard state.sources.count < most else {
                var shared = state.shared ?? make(now)
                defer { state.shared = shared }
                return body(&shared)
            }
            var new = make(now)
            defer { state.sources[source] = new }
            return body(&new)
        }
    }

    /// Addresses that are followed.
    package var count: Int { state.withLock { $0.sources.count } }

    /// At most once a second: a flood of addresses must not make every request pay for it.
    private func sweep(_ state: inout State, _ now: UInt64) {
        guard now >= state.nextSweep else { return }
        state.nextSweep = now &+ Self.sweepNanoseconds
        for (source, buckets) in state.sources {
            var copy = buckets
            if isFull(&copy, now) { state.sources[source] = nil }
        }
    }
}
