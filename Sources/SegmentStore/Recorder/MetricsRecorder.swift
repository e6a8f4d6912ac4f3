internal import Synchronization
package import Telemetry

/// How much recorded time is kept. What is beyond either goes, whole segments at a time, oldest first.
package struct RecorderRetention: Hashable, Sendable {
    /// Nanoseconds; nil: for ever.
    package var age: UInt64?
    package var bytes: UInt64

    package init(age: UInt64? = 24 * 3_600 * 1_000_000_000, bytes: UInt64 = 1 << 30) {
        self.age = age
        self.bytes = bytes
    }
}

/// What the recorder has on disk and what it has done, for metrics and status.
package struct RecorderCounts: Hashable, Sendable {
    package var segments = 0
    package var bytes: UInt64 = 0
    /// Unix second of the oldest value that is kept; nil without a segment.
    package var oldestSecond: Int64?
    /// Series in the newest segment.
    package var series: UInt64 = 0
    /// Written in this life: seconds of series.
    package var values: UInt64 = 0
    /// Segments removed by retention in this life.
    package var expiredSegments: UInt64 = 0
    package var errors: UInt64 = 0
    package var damagedChunks: UInt64 = 0
    /// Files set aside at the start because they were damaged.
    package var quarantined = 0
    package var writeNanoseconds: UInt64 = 0
    package var problem: String?
}

/// Writes the blocks of a ``RecorderSource`` as segments, keeps as many as retention allows and finds them for queries.
///
/// One thread of its own calls ``step()``; tests call it themselves. Source: schemas/disk/recorder.md.
package final class MetricsRecorder: Sendable, RecordedSegments {
    private struct State {
        /// By ascending number.
        var segments: [RecorderSegment]
        var retention: RecorderRetention
        var counts = RecorderCounts()
        var failures = 0
        var retryAt: UInt64 = 0
        /// Unlinked names whose folder must be synced.
        var hasUnsyncedRemovals = false
    }

    private static let level: Int32 = 3
    /// A block may hold values of receivers that stood still for so long before it began.
    private static let lateSeconds: Int64 = 120
    private static let idleMilliseconds = 1_000
    private static let longestRetrySeconds: UInt64 = 60

    let source: any RecorderSource
    private let disk: any Disk
    private let configuration: StoreConfiguration
    private let state: Mutex<State>
    /// Held while a segment is written: by the recorder's thread, or by the one that begins a new metrics log.
    private let writing = Mutex(())
    private let damage: DamageCount
    private let isStopping = Atomic<Bool>(false)
    private let signal = Signal()
    private let thread = Mutex<DedicatedThread?>(nil)
    /// What opening found damaged.
    package let problems: [String]

    /// Finds the segments there are. The directory's lock must be held, and the metrics log not be read yet.
    package static func open(
        _ disk: any Disk, source: any RecorderSource, retention: RecorderRetention,
        configuration: StoreConfiguration
    ) throws(DiskError) -> MetricsRecorder {
        try disk.makeDirectory(StorePath.recorderDirectory)
        try disk.makeDirectory(StorePath.quarantineDirectory)
        try disk.syncDirectory("")
        var numbers: [UInt64] = []
        for entry in try disk.list(StorePath.recorderDirectory) where entry.isRegularFile {
            if entry.name.hasSuffix(StorePath.draftSuffix) {
                try disk.remove("\(StorePath.recorderDirectory)/\(entry.name)")
            } else if let number = StorePath.number(ofRecorded: entry.name) {
                numbers.append(number)
            }
        }
        let damage = DamageCount()
        var segments: [RecorderSegment] = []
        var problems: [String] = []
        for number in numbers.sorted() {
            let path = StorePath.recorded(number: number)
            let file = try disk.open(path)
            let ending = try RecorderEnding.read(file, number: number)
            let size = try file.size()
            file.close()
            if let ending {
                segments.append(RecorderSegment(ending, byteCount: size, disk: disk, damage: damage))
            } else {
                problems.append("\(path) is damaged, or of a newer version, and was set aside")
                try disk.rename(path, to: StorePath.quarantine(String(path.dropFirst(9))))
                try disk.syncDirectory(StorePath.quarantineDirectory)
                try disk.syncDirectory(StorePath.recorderDirectory)
            }
        }
        source.beginRecording(number: (numbers.max() ?? 0) &+ 1, sealed: segments.map(\.facts))
        return MetricsRecorder(disk, source, retention, configuration, segments, damage, problems)
    }

    private init(
        _ disk: any Disk, _ source: any RecorderSource, _ retention: RecorderRetention,
        _ configuration: StoreConfiguration, _ segments: [RecorderSegment], _ damage: DamageCount,
        _ problems: [String]
    ) {
        self.disk = disk
        self.source = source
        self.configuration = configuration
        self.problems = problems
        self.damage = damage
        state = Mutex(State(segments: segments, retention: retention))
        state.withLock { $0.counts.quarantined = problems.count }
    }

    /// Begins to write. Call when the metrics log is open.
    package func start() {
        guard configuration.runsThreads else { return }
        thread.withLock { thread in
            thread = DedicatedThread { [self] in
                while !isStopping.load(ordering: .acquiring) {
                    signal.wait(milliseconds: Self.idleMilliseconds)
                    step()
                }
            }
        }
    }

    package var counts: RecorderCounts {
        state.withLock { state in
            var counts = state.counts
            counts.segments = state.segments.count
            counts.bytes = state.segments.reduce(0) { $0 + $1.byteCount }
            counts.oldestSecond = state.segments.map(\.facts.first).min()
            counts.series = state.segments.last?.facts.seriesCount ?? 0
            counts.damagedChunks = damage.chunks.load(ordering: .relaxed)
            return counts
        }
    }

    package func setRetention(_ retention: RecorderRetention) { state.withLock { $0.retention = retention } }

    // MARK: Writing

    /// Writes what is due and removes what is too old or too much.
    package func step() {
        source.closeBlock(nowSecond: nowSecond, isForced: false)
        let isWaiting = state.withLock { configuration.wallClock() < $0.retryAt }
        if !isWaiting { _ = writing.withLock { _ in writeClosed() } }
        applyRetention()
    }

    /// Writes everything recorded so far: before the metrics log that also holds it goes, and at the end.
    /// - Returns: false when the disk refused; what is left waits in memory.
    @discardableResult
    package func seal() -> Bool {
        writing.withLock { _ in
            source.closeBlock(nowSecond: nowSecond, isForced: true)
            return writeClosed()
        }
    }

    /// Ends the thread and writes what is left.
    @discardableResult
    package func close() -> Bool {
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        thread.withLock { $0 }?.join()
        return seal()
    }

    private var nowSecond: Int64 { Int64(clamping: configuration.wallClock() / 1_000_000_000) }

    @discardableResult
    private func writeClosed() -> Bool {
        for block in source.closedBlocks {
            let began = monotonicNanoseconds()
            do throws(DiskError) {
                let segment = try RecorderSegment.write(block, on: disk, level: Self.level, damage: damage)
                state.withLock { state in
                    state.segments.append(segment)
                    state.failures = 0
                    state.counts.problem = nil
                    state.counts.values += segment.facts.valueCount
                    state.counts.writeNanoseconds += monotonicNanoseconds() - began
                }
            } catch {
                fail(error)
                return false
            }
            source.release(block: block.facts.number)
        }
        return true
    }

    private func fail(_ error: DiskError) {
        let isNew = state.withLock { state in
            let seconds = min(1 << UInt64(min(state.failures, 6)), Self.longestRetrySeconds)
            state.failures += 1
            state.retryAt = configuration.wallClock() &+ seconds * 1_000_000_000
            state.counts.errors += 1
            defer { state.counts.problem = "\(error)" }
            return state.counts.problem == nil
        }
        if isNew { configuration.log(.warning, "the recorder cannot write: \(error)") }
    }

    // MARK: Retention

    private func applyRetention() {
        let now = nowSecond
        let expired = state.withLock { state in
            var total = state.segments.reduce(0) { $0 + $1.byteCount }
            let seconds = state.retention.age.map { Int64(clamping: $0 / 1_000_000_000) }
            var gone: [RecorderSegment] = []
            while let oldest = state.segments.first {
                let isOld = seconds.map { oldest.facts.through < now - $0 } ?? false
                guard isOld || total > state.retention.bytes else { break }
                total -= oldest.byteCount
                gone.append(state.segments.removeFirst())
            }
            state.counts.expiredSegments += UInt64(gone.count)
            if !gone.isEmpty { state.hasUnsyncedRemovals = true }
            return gone
        }
        do throws(DiskError) {
            for segment in expired {
                do throws(DiskError) { try disk.remove(segment.path) } catch  where error.isMissing {}
            }
            guard state.withLock({ $0.hasUnsyncedRemovals }) else { return }
            try disk.syncDirectory(StorePath.recorderDirectory)
            state.withLock { $0.hasUnsyncedRemovals = false }
        } catch { fail(error) }
    }

    // MARK: Reading

    package func segments(from: Int64, through: Int64) -> [any RecordedSegment] {
        state.withLock { state in
            let start = state.segments.lastIndex { $0.facts.isFull && $0.facts.first <= from } ?? 0
            return state.segments[start...].filter { $0.facts.first <= through &+ Self.lateSeconds }
        }
    }
}
