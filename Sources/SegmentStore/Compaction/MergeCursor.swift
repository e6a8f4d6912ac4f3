internal import Telemetry

/// Walks the traces of one segment in order, one block in memory.
final class MergeCursor {
    struct Key: Comparable {
        var tenant: Int
        var id: TraceID

        static func < (left: Key, right: Key) -> Bool {
            left.tenant != right.tenant ? left.tenant < right.tenant : left.id < right.id
        }
    }

    let reader: SegmentReader
    /// Its place among the merge's.
    let number: Int
    /// The segment's tenants as indexes of the merge's.
    private let tenants: [Int]
    private let inflater = PieceInflater()
    private let skipped: Set<Int>
    /// One more than the number of the block at hand.
    private(set) var nextBlock = 0
    private var trace = 0
    /// Spans of the trace at hand that were taken.
    private var row = 0
    /// The block at hand; nil at the end.
    private(set) var block: BlockColumns?
    /// The trace at hand; nil at the end.
    private(set) var key: Key?
    private(set) var bytesRead: UInt64 = 0

    /// - Parameter skipped: blocks to leave out.
    init(_ reader: SegmentReader, number: Int, tenants: [String], skipping skipped: Set<Int> = []) {
        self.skipped = skipped
        self.reader = reader
        self.number = number
        self.tenants = reader.footer.tenants.map { tenants.firstIndex(of: $0) ?? 0 }
    }

    var tenant: String { block?.tables.origin.tenant ?? "" }
    var extent: TraceExtent? { block?.traces[trace].extent }
    /// Spans of the trace at hand that are left in the block at hand.
    var spansLeft: Int { (block?.traces[trace].rows.count ?? 0) - row }
    /// The span at hand.
    var currentRow: Int { (block?.traces[trace].rows.lowerBound ?? 0) + row }
    var start: UInt64 { block?.starts[currentRow] ?? 0 }
    /// The spans that are left of the trace at hand in the block at hand.
    var rowsLeft: Range<Int> {
        guard let rows = block?.traces[trace].rows else { return 0..<0 }
        return min(rows.lowerBound + row, rows.upperBound)..<rows.upperBound
    }
    /// Whether no span of the trace at hand was taken from the block at hand.
    var isAtStartOfTrace: Bool { row == 0 }

    /// The class that the spans left of the trace at hand give it, those in later blocks too.
    ///
    /// - Parameter slow: nanoseconds of a span from which the trace is slow.
    func retentionClass(slow: UInt64) throws(SegmentError) -> RetentionClass {
        guard let block, let key else { return .ordinary }
        var result = RetentionClass.ordinary
        let (statuses, durations) = (block.statuses, block.durations)
        for row in currentRow..<block.traces[trace].rows.upperBound {
            if statuses[row] == 2 { return .error }
            // A span that ends before its start has a wrapped duration, which no clock reaches.
            if durations[row] >= slow, durations[row] < 1 << 63 { result = .slow }
        }
        guard trace == block.traces.count - 1 else { return result }
        for index in nextBlock..<max(nextBlock, reader.footer.blocks.count) {
            let entry = reader.footer.blocks[index]
            if skipped.contains(index) { continue }
            guard tenants[entry.tenant] == key.tenant, entry.firstHigh == key.id.high, entry.firstLow == key.id.low
            else { break }
            let more = try retentionClass(of: key.id, inBlock: index, slow: slow)
            if more == .error { return .error }
            if more == .slow { result = .slow }
        }
        return result
    }

    private func retentionClass(
        of id: TraceID, inBlock index: Int, slow: UInt64
    ) throws(SegmentError) -> RetentionClass {
        var block = reader.block(index, inflater)
        let traces = try BlockTraces(&block)
        guard let trace = traces.find(id) else { return .ordinary }
        let rows = traces.firstRows[trace]..<traces.firstRows[trace + 1]
        let status = try block.integers(ColumnID.status, count: block.entry.spans, rows: rows)
        let durations = try block.integers(ColumnID.duration, count: block.entry.spans, rows: rows)
        var result = RetentionClass.ordinary
        for row in rows {
            if status[row] == 2 { return .error }
            if durations[row] >= slow, durations[row] < 1 << 63 { result = .slow }
        }
        return result
    }

    /// Loads the next block with a span in it; false at the end.
    @discardableResult
    func load() throws(SegmentError) -> Bool {
        trace = 0
        row = 0
        while nextBlock < reader.footer.blocks.count {
            guard !skipped.contains(nextBlock) else {
                nextBlock += 1
                continue
            }
            let entry = reader.footer.blocks[nextBlock]
            let loaded = try BlockColumns(
                reader.block(nextBlock, inflater), tenant: reader.footer.tenants[entry.tenant])
            nextBlock += 1
            bytesRead &+= entry.byteCount
            guard let first = loaded.traces.first else { continue }
            block = loaded
            key = Key(tenant: tenants[entry.tenant], id: first.id)
            return true
        }
        block = nil
        key = nil
        return false
    }

    /// Steps over spans of the trace at hand. True when a new block was loaded.
    @discardableResult
    func advance(by count: Int = 1) throws(SegmentError) -> Bool {
        row += count
        guard let block, row >= block.traces[trace].rows.count else { return false }
        return try nextTrace(block)
    }

    /// Steps over what is left of the trace at hand in the block. True when a new block was loaded.
    @discardableResult
    func skipTrace() throws(SegmentError) -> Bool {
        guard let block else { return false }
        return try nextTrace(block)
    }

    private func nextTrace(_ block: BlockColumns) throws(SegmentError) -> Bool {
        row = 0
        trace += 1
        guard trace >= block.traces.count else {
            key?.id = block.traces[trace].id
            return false
        }
        return try load()
    }
}
