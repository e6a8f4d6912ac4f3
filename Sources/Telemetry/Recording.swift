/// How far a metrics log is covered by recorder segments: so many of the windows after its checkpoint.
package struct RecorderMark: Hashable, Sendable {
    /// The salt of the log file; 0 when windows go to no log.
    package var log: UInt64
    package var windows: UInt64

    package init(log: UInt64 = 0, windows: UInt64 = 0) {
        self.log = log
        self.windows = windows
    }
}

/// What is known of a block of recorded seconds without reading its series.
package struct RecorderBlockFacts: Hashable, Sendable {
    /// Ascending over all lives; also in the file's name.
    package var number: UInt64
    /// Unix seconds that the block covers, both included. Late values may lie before, early ones behind.
    package var first: Int64
    package var through: Int64
    /// All series that had a value are in it, not only those that changed.
    package var isFull: Bool
    package var mark: RecorderMark
    package var seriesCount: UInt64 = 0
    /// Seconds of series that have a value of their own.
    package var valueCount: UInt64 = 0

    package init(number: UInt64, first: Int64, through: Int64, isFull: Bool, mark: RecorderMark) {
        self.number = number
        self.first = first
        self.through = through
        self.isFull = isFull
        self.mark = mark
    }
}

/// Some of a block's series, readable without the others. Series stand by ascending family name.
package struct RecorderChunk: Sendable {
    package var firstFamily: [UInt8]
    package var lastFamily: [UInt8]
    package var seriesCount: UInt64
    package var valueCount: UInt64
    /// Source: schemas/disk/recorder.md, "Chunk".
    package var plain: [UInt8]

    package init(
        firstFamily: [UInt8], lastFamily: [UInt8], seriesCount: UInt64, valueCount: UInt64, plain: [UInt8]
    ) {
        self.firstFamily = firstFamily
        self.lastFamily = lastFamily
        self.seriesCount = seriesCount
        self.valueCount = valueCount
        self.plain = plain
    }
}

/// A closed block in memory, on its way to a segment.
package protocol RecordableBlock: Sendable {
    var facts: RecorderBlockFacts { get }
    /// Hands out the block chunk by chunk until `body` says false.
    func forEachChunk(_ body: (RecorderChunk) -> Bool)
}

/// Where recorder segments get their blocks. All calls may come from any thread.
package protocol RecorderSource: Sendable {
    /// Recording begins. To be called before the metrics log is read.
    /// - Parameters:
    ///   - number: of the next block.
    ///   - sealed: the blocks that segments hold already, by number.
    func beginRecording(number: UInt64, sealed: [RecorderBlockFacts])
    /// The windows to come are those of the log with this salt, from its checkpoint on.
    /// - Parameter isRestoring: they come out of the log, not into it.
    func beginLog(_ salt: UInt64, isRestoring: Bool)
    /// Closes the open block when it is old or large enough, or `isForced` and there is something in it.
    func closeBlock(nowSecond: Int64, isForced: Bool)
    /// Closed blocks that no segment has yet, oldest first.
    var closedBlocks: [any RecordableBlock] { get }
    /// A segment has it.
    func release(block number: UInt64)
}

/// One segment of recorded seconds that can be read.
package protocol RecordedSegment: Sendable {
    var facts: RecorderBlockFacts { get }
    /// First and last family name of each chunk.
    var families: [(first: [UInt8], last: [UInt8])] { get }
    /// The plain bytes of a chunk; empty when retention has removed it meanwhile; nil when it is damaged or cannot be
    /// read, which is counted.
    func chunk(_ index: Int) -> [UInt8]?
}

/// Segments of recorded seconds.
package protocol RecordedSegments: Sendable {
    /// Those that may hold values of `from...through`, and what stands before them from the last full one on, by
    /// number.
    func segments(from: Int64, through: Int64) -> [any RecordedSegment]
}

/// A daemon without a recorder.
package struct NoRecordedSegments: RecordedSegments {
    package init() {}
    package func segments(from: Int64, through: Int64) -> [any RecordedSegment] { [] }
}
