internal import Synchronization

/// How pressed the process is, from the share of its memory budget that requests hold. The raw value is what
/// `crest_admission_state` shows.
package enum LoadState: UInt8, Sendable {
    case green, yellow, orange, red
}

/// The current ``LoadState``; cheap to read, from any thread.
package final class LoadSignal: Sendable {
    private let level = Atomic<UInt8>(LoadState.green.rawValue)

    package init() {}

    package var state: LoadState { LoadState(rawValue: level.load(ordering: .relaxed)) ?? .red }

    package func set(_ state: LoadState) { level.store(state.rawValue, ordering: .relaxed) }
}
