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
        /// By series; a series that is not in `starts`, or 0 there, had no value.
        var values: [Double]
        var starts: [Int64]
        var histograms: [UInt32: HistogramBase] = [:]
        /// Series that were removed while it was open, and how many windows it had then: what those say of the number
        /// is about the series before.
        var removed: [UInt32: Int] = [:]
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
    /// For each log the last block of a segment.
    private(set) var sealed: [UInt64: RecorderBlockFacts] = [:]
    var lastFull: Int64?
    /// The second after the last one that a block of this life covers.
    var nextFirst: Int64?
    private(set) var counts = RecordingCounts()

    mutating func begin(number: UInt64, sealed: [RecorderBlockFacts]) {
        isOn = true
        nextNumber = number
        for facts in sealed where facts.mark.log != 0 { self.sealed[facts.mark.log] = facts }
    }

    mutating func beginLog(_ salt: UInt64, isRestoring: Bool) {
        mark = RecorderMark(log: salt)
        if !isRestoring, self.isRestoring { nextFirst = nil }
        self.isRestoring = isRestoring
    }

    /// Bytes at which the open block is closed early. It grows with the series, so that not every second of very many
    /// becomes a block with all their names.
    var blockBytes: Int { max(Limits.recorderBlockBytes, (open?.values.count ?? 0) * Limits.recorderSeriesBytes) }

    /// Where a block begins whose first window is of `second`.
    func first(of second: Int64, now: Int64) -> Int64 {
        if let nextFirst { return nextFirst }
        guard isRestoring else { return max(second, now - Self.lagSeconds) }
        return sealed[mark.log].map { $0.through + 1 } ?? second
    }

    /// Whether the next window must be kept; counts it.
    mutating func takesNextWindow() -> Bool {
        mark.windows += 1
        guard mark.windows > sealed[mark.log]?.mark.windows ?? 0 else { return false }
        guard (open?.bytes ?? 0) < 2 * blockBytes else {
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
            let first = recording.first(of: window.second, now: nowSecond)
            recording.open = Recording.OpenBlock(first: first, values: values, starts: starts)
        }
        for part in window.histograms.parts where recording.open?.histograms[part.series] == nil {
            let totals = base(of: part.series)
            recording.open?.histograms[part.series] = totals
        }
        recording.keep(window)
    }

    /// Keeps what became of sets. Their members are in no log, so this is not among the windows of one.
    mutating func recordDistinct(_ changes: [ScalarChange]) {
        guard recording.open != nil, !changes.isEmpty else { return }
        recording.keep(
            ClosedWindow(
                second: nowSecond - 1, scalars: changes, histograms: HistogramSecond(), classicCounts: [], sets: []))
    }

    private func base(of series: UInt32) -> HistogramBase {
        guard let histogram = histogram(series) else { return HistogramBase() }
        return HistogramBase(sum: histogram.sum, classic: histogram.classic)
    }

    /// Closes the open block when it is due.
    mutating func closeBlock(nowSecond: Int64, isForced: Bool) {
        guard let open = recording.open else { return }
        let age = nowSecond - open.first
        let isDue = age >= Recording.blockSeconds + Recording.lagSeconds || open.bytes >= recording.blockBytes
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

    /// The open block as a reader sees it, with the series that `selector` means.
    func openBlock(nowSecond: Int64, _ selector: RecordSelector) -> RecorderBlock? {
        guard let open = recording.open else { return nil }
        return frozen(open, through: max(open.first, open.lastSecond, nowSecond - 1), isFull: true, selector)
    }

    private mutating func frozen(_ open: Recording.OpenBlock, through: Int64) -> RecorderBlock {
        let isFull = recording.lastFull.map { open.first - $0 >= Recording.fullSeconds } ?? true
        if isFull { recording.lastFull = open.first }
        return frozen(open, through: through, isFull: isFull)
    }

    /// Copies the texts of labels, whose memory is given to others when a series is removed.
    private func frozen(
        _ open: Recording.OpenBlock, through: Int64, isFull: Bool, _ selector: RecordSelector? = nil
    ) -> RecorderBlock {
        var bases = open.histograms
        if isFull {
            for (series, histogram) in allHistograms where bases[series] == nil {
                bases[series] = HistogramBase(sum: histogram.sum, classic: histogram.classic)
            }
        }
        let facts = RecorderBlockFacts(
            number: recording.nextNumber, first: open.first, through: through, isFull: isFull, mark: recording.mark)
        var block = RecorderBlock(
            facts: facts, windows: open.windows, families: families, values: open.values, starts: open.starts,
            histograms: bases, removed: open.removed)
        let wanted = families.map { selector?.includes(family: $0.name, kind: $0.kind) ?? true }
        let changed = block.changed(of: series.count)
        for (index, entry) in series.enumerated() where Int(entry.family) < families.count {
            guard changed[index] || isFull && isPresent(UInt32(index)), wanted[Int(entry.family)],
                selector?.includes(labels: entry.labels) ?? true
            else { continue }
            block.define(UInt32(index), family: entry.family, labels: entry.labels)
        }
        return block
    }

    /// A series goes on from a remembered total: that is what it had before the block.
    mutating func recordResumed(_ index: Int) {
        guard let known = recording.open?.values.count else { return }
        if index >= known {
            let missing = index + 1 - known
            recording.open?.values.append(contentsOf: repeatElement(0, count: missing))
            recording.open?.starts.append(contentsOf: repeatElement(0, count: missing))
        }
        recording.open?.values[index] = values[index]
        recording.open?.starts[index] = starts[index]
    }

    /// Series go, and their numbers may be given to others. To be called before the next window is merged.
    mutating func forgetRecorded(_ ids: [UInt32]) {
        guard let windows = recording.open?.windows.count else { return }
        for id in ids {
            if Int(id) < recording.open?.starts.count ?? 0 { recording.open?.starts[Int(id)] = 0 }
            recording.open?.histograms[id] = nil
            recording.open?.removed[id] = windows
        }
    }
}

extension MetricsEngine: RecorderSource {
    package func beginRecording(number: UInt64, sealed: [RecorderBlockFacts]) {
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
