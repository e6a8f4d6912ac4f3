internal import Telemetry

/// The traces of a block: ids, rows and extents. Small, and enough to find a trace.
struct BlockTraces {
    let high: IntegerColumn
    let low: IntegerColumn
    private let start: IntegerColumn
    private let extent: IntegerColumn
    /// First row of each trace, and the number of rows at the end.
    let firstRows: [Int]

    var count: Int { firstRows.count - 1 }

    init(_ block: inout BlockReader) throws(SegmentError) {
        let count = block.entry.traces
        high = try block.integers(ColumnID.traceHigh, count: count, rows: 0..<count)
        low = try block.integers(ColumnID.traceLow, count: count, rows: 0..<count)
        start = try block.integers(ColumnID.traceStart, count: count, rows: 0..<count)
        extent = try block.integers(ColumnID.traceExtent, count: count, rows: 0..<count)
        let spans = try block.integers(ColumnID.traceSpans, count: count, rows: 0..<count)
        firstRows = try Offsets.sums(spans, count: count, total: block.entry.spans, block, "spans of traces")
    }

    func id(_ trace: Int) -> TraceID { TraceID(high: high[trace], low: low[trace]) }

    func start(_ trace: Int) -> UInt64 { start[trace] }

    func extent(_ trace: Int) -> TraceExtent {
        TraceExtent(traceID: id(trace), start: start[trace], end: start[trace] &+ extent[trace])
    }

    /// The trace with an id, by halving: ids are sorted.
    func find(_ wanted: TraceID) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if id(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        return low < count && id(low) == wanted ? low : nil
    }
}

/// Sums of counts, as places in another table.
enum Offsets {
    /// Running sums with a leading zero; the last must be `total`.
    static func sums(
        _ counts: IntegerColumn, count: Int, total: Int, _ block: BlockReader, _ what: String
    ) throws(SegmentError) -> [Int] {
        var sums: [Int] = [0]
        sums.reserveCapacity(count + 1)
        var sum = 0
        for row in 0..<count {
            guard counts[row] <= UInt64(total - sum) else { throw block.damage("\(what) beyond the block") }
            sum += Int(counts[row])
            sums.append(sum)
        }
        guard sum == total else { throw block.damage("\(what) do not add up") }
        return sums
    }
}

/// The starts of a block's spans: parents and offsets put together again.
struct BlockStarts {
    /// By row - `first`.
    let starts: [UInt64]
    let parentIDs: [UInt64]
    let first: Int
    /// As stored: of all rows, and of the rows at hand.
    let parents: IntegerColumn
    let offsets: IntegerColumn

    /// - Parameter traces: which traces of the block; the rows are theirs.
    init(
        _ block: inout BlockReader, _ index: BlockTraces, traces: Range<Int>, spanIDs: IntegerColumn
    ) throws(SegmentError) {
        let count = block.entry.spans
        let rows = index.firstRows[traces.lowerBound]..<index.firstRows[traces.upperBound]
        first = rows.lowerBound
        parents = try block.integers(ColumnID.parent, count: count, rows: 0..<count)
        offsets = try block.integers(ColumnID.startOffset, count: count, rows: rows)
        var escapes = 0
        var escapesBefore = 0
        for row in 0..<count where parents[row] == 1 {
            escapes += 1
            if row < rows.lowerBound { escapesBefore += 1 }
        }
        let outside = try block.integers(ColumnID.parentID, count: escapes, rows: 0..<escapes)
        var nextOutside = escapesBefore
        var starts: [UInt64] = []
        var parentIDs: [UInt64] = []
        starts.reserveCapacity(rows.count)
        parentIDs.reserveCapacity(rows.count)
        for trace in traces {
            let traceRows = index.firstRows[trace]..<index.firstRows[trace + 1]
            for row in traceRows {
                var base = index.start(trace)
                switch parents[row] {
                case 0: parentIDs.append(0)
                case 1:
                    parentIDs.append(outside[nextOutside])
                    nextOutside += 1
                case let code:
                    let parent = row &- Int(truncatingIfNeeded: Self.unzigzag(code - 2))
                    guard traceRows.contains(parent) else { throw block.damage("parent outside of its trace") }
                    parentIDs.append(spanIDs[parent])
                    if parent < row { base = starts[parent - rows.lowerBound] }
                }
                starts.append(base &+ offsets[row])
            }
        }
        self.starts = starts
        self.parentIDs = parentIDs
    }

    private static func unzigzag(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}
