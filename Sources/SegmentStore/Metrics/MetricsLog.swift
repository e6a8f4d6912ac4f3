internal import Synchronization
package import Telemetry

/// What the metrics log has done, for metrics and status.
package struct MetricsLogCounts: Hashable, Sendable {
    package var bytes: UInt64 = 0
    package var groups: UInt64 = 0
    package var checkpoints: UInt64 = 0
    /// Writes that failed. What they held is shown and is in the next checkpoint.
    package var errors: UInt64 = 0
    /// Metric lines lost at crashes, over all starts.
    package var lostLines: UInt64 = 0
    /// Why nothing is written at the moment.
    package var problem: String?
}

/// Keeps the metric state on disk: each closed second goes to the log first and is shown then.
///
///     engine: closed seconds -> takeClosed -> group, fdatasync -> settle -> scrapes
///
/// One thread of its own calls ``step()``; tests call it themselves. Source: schemas/disk/metrics-log.md.
package final class MetricsLog: Sendable {
    private struct State {
        /// Nil while nothing can be written.
        var file: MetricsLogFile?
        var nextNumber: UInt64
        var lines: UInt64 = 0
        /// Attempts to make a file that failed one after the other, and when to try again.
        var failures = 0
        var retryAt: UInt64 = 0
        var obsolete: [UInt64]
    }

    private static let growthBytes: UInt64 = 16 << 20
    private static let pollMilliseconds = 100
    private static let longestRetrySeconds: UInt64 = 30

    private let disk: any Disk
    private let source: any MetricsLogSource
    private let recorder: MetricsRecorder?
    private let configuration: StoreConfiguration
    private let life: UInt64
    private let state: Mutex<State>
    private let shownCounts: Mutex<MetricsLogCounts>
    private let isStopping = Atomic<Bool>(false)
    private let signal = Signal()
    private let thread = Mutex<DedicatedThread?>(nil)
    /// What opening found.
    package let recovery: MetricsLogReport

    /// Restores the state of `source` and begins a new file. The directory's lock must be held by the caller's store.
    /// - Parameters:
    ///   - tally: lines taken so far; what it says of the life before is compared with the log.
    ///   - recorder: of the same source; writes its blocks before the log that also holds them goes.
    /// - Throws: when the folder cannot be read or made. A file that cannot be written is no error: it is tried again.
    package static func open(
        _ disk: any Disk, source: any MetricsLogSource, tally: LineTally, configuration: StoreConfiguration,
        recorder: MetricsRecorder? = nil
    ) throws(DiskError) -> MetricsLog {
        try disk.makeDirectory(StorePath.metricsDirectory)
        try disk.makeDirectory(StorePath.quarantineDirectory)
        try disk.syncDirectory("")
        for entry in try disk.list(StorePath.metricsDirectory) where entry.name.hasSuffix(StorePath.draftSuffix) {
            try disk.remove("\(StorePath.metricsDirectory)/\(entry.name)")
        }
        var recovery = MetricsLogRecovery(disk: disk, source: source, recorder: recorder?.source)
        try recovery.run()
        return MetricsLog(disk, source, recovery, tally, configuration, recorder)
    }

    private init(
        _ disk: any Disk, _ source: any MetricsLogSource, _ recovered: MetricsLogRecovery, _ tally: LineTally,
        _ configuration: StoreConfiguration, _ recorder: MetricsRecorder?
    ) {
        self.disk = disk
        self.source = source
        self.recorder = recorder
        self.configuration = configuration
        life = configuration.random()
        var report = recovered.report
        if let last = recovered.last, let previous = tally.previous, previous.life == last.life,
            previous.lines > last.group.lines
        {
            report.lostLines = previous.lines - last.group.lines
        }
        recovery = report
        var counts = MetricsLogCounts()
        counts.lostLines = (recovered.last?.group.lost ?? 0) &+ report.lostLines
        shownCounts = Mutex(counts)
        state = Mutex(State(nextNumber: (recovered.numbers.last ?? 0) &+ 1, obsolete: recovered.numbers))
        guard configuration.durability != .memory else {
            recorder?.seal()
            recorder?.source.beginLog(0, isRestoring: false)
            return
        }
        source.holdForLog()
        step()
        tally.begin(life: life)
        if configuration.runsThreads { startThread() }
    }

    package var counts: MetricsLogCounts { shownCounts.withLock { $0 } }

    // MARK: The thread

    private func startThread() {
        thread.withLock { thread in
            thread = DedicatedThread { [self] in
                while !isStopping.load(ordering: .acquiring) {
                    signal.wait(milliseconds: Self.pollMilliseconds)
                    step()
                }
            }
        }
    }

    /// Writes what closed meanwhile and shows it; makes a new file when one is due. Never throws: what cannot be written
    /// is counted and shown all the same.
    package func step() {
        state.withLock { state in
            let batch = source.takeClosed()
            state.lines &+= batch.lines
            if !batch.records.isEmpty { append(batch, &state) }
            source.settle()
            if isCheckpointDue(state) { checkpoint(&state) }
        }
    }

    /// Writes what is left. The receivers must have handed over everything.
    /// - Returns: false when the disk does not have all that was shown.
    @discardableResult
    package func close() -> Bool {
        guard configuration.durability != .memory else { return true }
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        thread.withLock { $0 }?.join()
        step()
        return state.withLock { state in
            if state.file == nil { checkpoint(&state) }
            let isSafe = state.file != nil
            state.file?.close()
            return isSafe
        }
    }

    // MARK: Writing

    private func append(_ batch: MetricsLogBatch, _ state: inout State) {
        guard state.file != nil else { return }
        let mark = mark(state)
        do throws(DiskError) {
            try state.file?.append(batch.records, mark)
            try state.file?.sync()
            let bytes = state.file?.byteCount ?? 0
            shownCounts.withLock { counts in
                counts.groups += 1
                counts.bytes = bytes
            }
        } catch {
            state.file?.close()
            state.file = nil
            fail(error, &state)
        }
    }

    private func mark(_ state: State) -> MetricsLogGroup {
        MetricsLogGroup(
            index: 0, wall: configuration.wallClock(), lines: state.lines, lost: shownCounts.withLock { $0.lostLines })
    }

    private func isCheckpointDue(_ state: State) -> Bool {
        guard configuration.wallClock() >= state.retryAt else { return false }
        guard let file = state.file else { return true }
        return file.byteCount - file.checkpointBytes > max(Self.growthBytes, file.checkpointBytes * 2)
    }

    /// Begins a new file with the state so far; the older ones go.
    private func checkpoint(_ state: inout State) {
        let header = MetricsLogHeader(number: state.nextNumber, salt: configuration.random(), life: life)
        state.nextNumber &+= 1
        recorder?.seal()
        do throws(DiskError) {
            let file = try MetricsLogFile.create(header, on: disk, state: source, mark: mark(state))
            if let old = state.file { old.close() }
            state.file = file
            recorder?.source.beginLog(header.salt, isRestoring: false)
            state.failures = 0
            shownCounts.withLock { counts in
                counts.checkpoints += 1
                counts.bytes = file.byteCount
                counts.problem = nil
            }
        } catch {
            // The old file goes on, unless the new one may have its name already: then a start would prefer that.
            if error.call == .rename || error.call == .syncDirectory {
                state.file?.close()
                state.file = nil
            }
            state.obsolete.append(header.number)
            return fail(error, &state)
        }
        removeObsolete(&state)
        state.obsolete.append(header.number)
    }

    /// A file that cannot be unlinked is tried again with the next checkpoint.
    private func removeObsolete(_ state: inout State) {
        state.obsolete.removeAll { number in
            do throws(DiskError) {
                try disk.remove(StorePath.metricsLog(number: number))
                return true
            } catch { return error.isMissing }
        }
        do throws(DiskError) { try disk.syncDirectory(StorePath.metricsDirectory) } catch {
            shownCounts.withLock { $0.errors += 1 }
        }
    }

    private func fail(_ error: DiskError, _ state: inout State) {
        let seconds = min(1 << UInt64(min(state.failures, 5)), Self.longestRetrySeconds)
        state.failures += 1
        state.retryAt = configuration.wallClock() &+ seconds * 1_000_000_000
        let isNew = shownCounts.withLock { counts in
            defer { counts.problem = "\(error)" }
            counts.errors += 1
            return counts.problem == nil
        }
        if isNew { configuration.log(.warning, "the metrics log cannot be written: \(error)") }
    }
}
