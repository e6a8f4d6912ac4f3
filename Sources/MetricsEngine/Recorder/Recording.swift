internal import Synchronization
package import Telemetry

/// A histogram series' totals before a block.
struct HistogramBase: Sendable {
    var sum = 0.0
    /// One count a bucket of the family; empty: all zero.
    var classic: [Double] = []
}

/// The seconds that no segment has yet: the block under way and those that wait. Guarded by the store's lock.
///
/// A window is only kept, not copied: totals before the block are an array that the store copies on its next change.
struct Recording {
    struct OpenBlock {
        var first: Int64
        var windows: [ClosedWindow] = []
        var bytes = 0
        var lastSecond: Int64 = 0
        let values: [Double]
        let starts: [Int64]
        var histograms: [UInt32: HistogramBase] = [:]
    }

    /// Seconds after which a block is closed, and how long after its last second: receivers hand over late.
    static let blockSeconds: Int64 = 60
    static let lagSeconds: Int64 = 2
    /// Every so many seconds a block holds all series, for readers that start there.
    static let fullSeconds: Int64 = 600

    private(set) var isOn = false
    private(set) var isRestoring = false
    var open: OpenBlock?
    var closed: [RecorderBlock] = []
    var nextNumber: UInt64 = 1
    private(set) var mark = RecorderMark()
    private(set) var sealed: [UInt64: UInt64] = [:]
    var lastFull: Int64?
    /// The second after the last one that a block of this life covers.
    var nextFirst: Int64?
    private(set) var counts = RecordingCounts()

    mutating func begin(number: UInt64, sealed: [UInt64: UInt64]) {
        isOn = true
        nextNumber = number
        self.sealed = sealed.filter { $0.key != 0 }
    }

    mutating func beginLog(_ salt: UInt64, isRestoring: Bool) {
        mark = RecorderMark(log: salt)
        if !isRestoring, self.isRestoring { nextFirst = nil }
        self.isRestoring = isRestoring
    }

    /// Whether the next window must be kept; counts it.
    mutating func takesNextWindow() -> Bool {
        mark.windows += 1
        guard mark.windows > sealed[mark.log] ?? 0 else { return false }
        guard (open?.bytes ?? 0) < 2 * Limits.recorderBlockBytes else {
            counts.lostWindows += 1
            return false
        }
        return true
    }

    mutating func keep(_ window: ClosedWindow) {
        open?.windows.append(window)
        open?.bytes += 128 + window.scalars.count * 16 + window.histograms.bytes + window.classicCounts.count * 8
        let last = open?.lastSecond ?? 0
        open?.lastSecond = max(last, window.second)
        counts.windows += 1
    }

    mutating func enqueue(_ block: RecorderBlock) {
        closed.append(block)
        while closed.count > Limits.recorderBlocksWaiting {
            counts.lostWindows += UInt64(closed.removeFirst().windows.count)
        }
    }
}

/// What the recorder has taken in this life.
package struct RecordingCounts: Hashable, Sendable {
    /// Closed seconds of receivers.
    package var windows: UInt64 = 0
    /// Of those, not recorded for want of memory.
    package var lostWindows: UInt64 = 0
    /// In memory, in no segment yet.
    package var openBytes = 0
}

extension MetricsStore {
    /// Keeps a window that is about to be merged, and the totals that it is about to change.
    mutating func record(_ window: ClosedWindow) {
        guard recording.isOn, recording.takesNextWindow() else { return }
        if recording.open == nil {
            let first = recording.nextFirst ?? (recording.isRestoring ? window.second : max(window.second, nowSecond))
            recording.open = Recording.OpenBlock(first: first, values: values, starts: starts)
        }
        for part in window.histograms.parts where recording.open?.histograms[part.series] == nil {
            let totals = base(of: part.series)
            recording.open?.histograms[part.series] = totals
        }
        recording.keep(window)
    }

    private func base(of series: UInt32) -> HistogramBase {
        guard let histogram = histogram(series) else { return HistogramBase() }
        return HistogramBase(sum: histogram.sum, classic: histogram.classic)
    }

    /// Closes the open block when it is due.
    mutating func closeBlock(nowSecond: Int64, isForced: Bool) {
        guard let open = recording.open else { return }
        let age = nowSecond - open.first
        let isDue = age >= Recording.blockSeconds + Recording.lagSeconds || open.bytes >= Limits.recorderBlockBytes
        guard isForced || isDue else { return }
        if open.windows.isEmpty, isForced || age < Recording.fullSeconds { return }
        let through =
            recording.isRestoring ? max(open.first, open.lastSecond) : max(open.first, nowSecond - Recording.lagSeconds)
        recording.enqueue(frozen(open, through: through))
        recording.nextNumber += 1
        recording.nextFirst = through + 1
        recording.open =
            recording.isRestoring
            ? nil : Recording.OpenBlock(first: through + 1, values: values, starts: starts)
    }

    /// The open block as a reader sees it.
    func openBlock(nowSecond: Int64) -> RecorderBlock? {
        guard let open = recording.open else { return nil }
        return frozen(open, through: max(open.first, open.lastSecond, nowSecond - 1), isFull: true)
    }

    private mutating func frozen(_ open: Recording.OpenBlock, through: Int64) -> RecorderBlock {
        let isFull = recording.lastFull.map { open.first - $0 >= Recording.fullSeconds } ?? true
        if isFull { recording.lastFull = open.first }
        return frozen(open, through: through, isFull: isFull)
    }

    private func frozen(_ open: Recording.OpenBlock, through: Int64, isFull: Bool) -> RecorderBlock {
        var bases = open.histograms
        if isFull {
            for (series, histogram) in allHistograms where bases[series] == nil {
                bases[series] = HistogramBase(sum: histogram.sum, classic: histogram.classic)
            }
        }
        let facts = RecorderBlockFacts(
            number: recording.nextNumber, first: open.first, through: through, isFull: isFull, mark: recording.mark)
        return RecorderBlock(
            facts: facts, windows: open.windows, families: families, series: series, values: open.values,
            starts: open.starts, histograms: bases)
    }
}

extension MetricsEngine: RecorderSource {
    package func beginRecording(number: UInt64, sealed: [UInt64: UInt64]) {
        store.withLock { $0.recording.begin(number: number, sealed: sealed) }
    }

    package func beginLog(_ salt: UInt64, isRestoring: Bool) {
        store.withLock { $0.recording.beginLog(salt, isRestoring: isRestoring) }
    }

    package func closeBlock(nowSecond: Int64, isForced: Bool) {
        store.withLock { $0.closeBlock(nowSecond: nowSecond, isForced: isForced) }
    }

    package var closedBlocks: [any RecordableBlock] { store.withLock { $0.recording.closed } }

    package func release(block number: UInt64) {
        store.withLock { store in store.recording.closed.removeAll { $0.facts.number == number } }
    }

    package var recordingCounts: RecordingCounts {
        store.withLock { store in
            var counts = store.recording.counts
            counts.openBytes = store.recording.open?.bytes ?? 0
            return counts
        }
    }
}
