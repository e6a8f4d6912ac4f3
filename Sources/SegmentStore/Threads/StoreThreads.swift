internal import Glibc
internal import Synchronization

/// What the threads do: wait, and call the steps.
extension SegmentStore {
    private static let witnessMilliseconds = 50
    private static let intervalMilliseconds = 100
    private static let idleMilliseconds = 1_000
    private static let compactorNice: Int32 = 10

    /// The committer. A group gathers while the one before it is synced.
    @Sendable
    func runCommitter() {
        var lastCommit = monotonicMilliseconds()
        var lastSync = lastCommit
        var lastIdle = lastCommit
        var isQuiet = true
        while true {
            commitSignal.wait(milliseconds: isQuiet ? Self.idleMilliseconds : Self.witnessMilliseconds)
            while commitStep() {
                lastCommit = monotonicMilliseconds()
                isQuiet = false
                if lastCommit - lastSync >= Self.intervalMilliseconds {
                    syncStep()
                    lastSync = lastCommit
                }
            }
            let now = monotonicMilliseconds()
            if isStopping.load(ordering: .acquiring), queue.isEmpty { return }
            if !isQuiet, now - lastSync >= Self.intervalMilliseconds {
                syncStep()
                lastSync = now
            }
            if !isQuiet, now - lastCommit >= Self.witnessMilliseconds {
                syncStep()
                witnessStep()
                isQuiet = true
            }
            if now - lastIdle >= Self.idleMilliseconds {
                idleStep()
                lastIdle = now
            }
        }
    }

    /// The sealer.
    @Sendable
    func runSealer() {
        while !isStopping.load(ordering: .acquiring) {
            sealSignal.wait(milliseconds: Self.idleMilliseconds)
            while !isStopping.load(ordering: .acquiring), monotonicMilliseconds() >= upkeep.withLock({ $0.retryAt }) {
                guard sealStep() else { break }
                // The committer may have waited for this one to hand over the next.
                commitSignal.raise()
                compactSignal.raise()
            }
        }
    }

    /// The compactor, which scrubs between merges: yields to everything else.
    @Sendable
    func runCompactor() {
        // Nice value of this thread alone, as Linux has it; where it is refused the thread runs like the others.
        _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, Self.compactorNice)
        while !isStopping.load(ordering: .acquiring) {
            compactSignal.wait(milliseconds: Self.idleMilliseconds)
            while !isStopping.load(ordering: .acquiring), compactStep() {}
            scrubStep(now: monotonicMilliseconds())
        }
    }
}
