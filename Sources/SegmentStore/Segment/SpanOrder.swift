internal import Telemetry

/// The spans of many batches in the order of a segment: by tenant, trace id, start, and arrival in the store.
///
/// Traces are gathered in a hash table first, so that only traces are sorted, and spans only within their trace.
struct SpanOrder: ~Copyable {
    struct Trace: BitwiseCopyable {
        var high: UInt64
        var low: UInt64
        /// Earliest start and latest end of its spans.
        var start: UInt64
        var end: UInt64
        var tenant: UInt32
        /// Its spans in ``SpanOrder/rows``.
        var first: UInt32
        var count: UInt32
    }

    /// Sorted by their bytes.
    private(set) var tenants: [String] = []
    /// Sorted by tenant and id.
    private(set) var traces: [Trace] = []
    /// Batch index << 32 | row index, in order.
    private(set) var rows: GrowingBuffer<UInt64>

    init(_ batches: [SpanBatch]) {
        let total = batches.reduce(0) { $0 + $1.spans.count }
        rows = GrowingBuffer(capacity: max(1, total))
        rows.resize(to: total, filler: 0)
        tenants = Set(batches.map(\.origin.tenant)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var table = TraceTable(spanCount: total)
        for batch in batches {
            let tenant = tenants.firstIndex(of: batch.origin.tenant) ?? 0
            batch.spans.withUnsafeBufferPointer { table.add($0, tenant: UInt32(truncatingIfNeeded: tenant)) }
        }
        traces = Array(table.traces.buffer)
        let sorted = traces.indices.sorted { Self.precedes(table.traces.base[$0], table.traces.base[$1]) }
        place(batches, sorted, table)
    }

    private static func precedes(_ left: Trace, _ right: Trace) -> Bool {
        if left.tenant != right.tenant { return left.tenant < right.tenant }
        if left.high != right.high { return left.high < right.high }
        return left.low < right.low
    }

    private mutating func place(_ batches: [SpanBatch], _ sorted: [Int], _ table: borrowing TraceTable) {
        var next = GrowingBuffer<UInt32>(capacity: max(1, traces.count))
        next.resize(to: traces.count, filler: 0)
        var first: UInt32 = 0
        for (rank, index) in sorted.enumerated() {
            traces[rank] = table.traces.base[index]
            traces[rank].first = first
            next.base[index] = first
            first += traces[rank].count
        }
        var starts = GrowingBuffer<UInt64>(capacity: max(1, rows.count))
        starts.resize(to: rows.count, filler: 0)
        var ordinal = 0
        for (index, batch) in batches.enumerated() {
            let high = UInt64(index) << 32
            for row in 0..<batch.spans.count {
                let trace = Int(table.traceOf.base[ordinal])
                let target = Int(next.base[trace])
                next.base[trace] += 1
                rows.base[target] = high | UInt64(row)
                starts.base[target] = table.starts.base[ordinal]
                ordinal += 1
            }
        }
        for trace in traces where trace.count > 1 {
            let offset = Int(trace.first)
            Self.sort(rows.base + offset, starts.base + offset, Int(trace.count))
        }
    }

    /// Sorts rows by start, keeping the order of equal ones.
    private static func sort(_ rows: UnsafeMutablePointer<UInt64>, _ starts: UnsafeMutablePointer<UInt64>, _ count: Int)
    {
        if count > 64 {
            let order = (0..<count).sorted { starts[$0] != starts[$1] ? starts[$0] < starts[$1] : $0 < $1 }
            let sorted = order.map { rows[$0] }
            for (index, row) in sorted.enumerated() { rows[index] = row }
            return
        }
        for index in 1..<count {
            let row = rows[index]
            let start = starts[index]
            var place = index
            while place > 0, starts[place - 1] > start {
                rows[place] = rows[place - 1]
                starts[place] = starts[place - 1]
                place -= 1
            }
            rows[place] = row
            starts[place] = start
        }
    }
}

/// Gathers spans by trace: open addressing over trace ids.
struct TraceTable: ~Copyable {
    private(set) var traces: GrowingBuffer<SpanOrder.Trace>
    /// For every span added: its trace, and its start.
    private(set) var traceOf: GrowingBuffer<UInt32>
    private(set) var starts: GrowingBuffer<UInt64>
    private var slots: GrowingBuffer<UInt32>

    init(spanCount: Int) {
        traces = GrowingBuffer(capacity: 1_024)
        traceOf = GrowingBuffer(capacity: max(1, spanCount))
        starts = GrowingBuffer(capacity: max(1, spanCount))
        slots = GrowingBuffer(capacity: 4_096)
        slots.resize(to: 4_096, filler: 0)
    }

    mutating func add(_ spans: UnsafeBufferPointer<SpanRow>, tenant: UInt32) {
        for index in 0..<spans.count {
            let high = spans[index].traceHigh
            let low = spans[index].traceLow
            let trace = find(high, low, tenant)
            traces.base[trace].count += 1
            traces.base[trace].start = min(traces.base[trace].start, spans[index].start)
            traces.base[trace].end = max(traces.base[trace].end, spans[index].end)
            traceOf.append(UInt32(truncatingIfNeeded: trace))
            starts.append(spans[index].start)
        }
    }

    private mutating func find(_ high: UInt64, _ low: UInt64, _ tenant: UInt32) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: keyedHash(high, low)) & mask
        while slots.base[slot] != 0 {
            let index = Int(slots.base[slot]) - 1
            let trace = traces.base[index]
            if trace.low == low, trace.high == high, trace.tenant == tenant { return index }
            slot = (slot + 1) & mask
        }
        traces.append(
            SpanOrder.Trace(high: high, low: low, start: .max, end: 0, tenant: tenant, first: 0, count: 0))
        slots.base[slot] = UInt32(truncatingIfNeeded: traces.count)
        if traces.count * 2 > mask { grow() }
        return traces.count - 1
    }

    private mutating func grow() {
        let size = slots.count * 4
        slots.removeAll()
        slots.resize(to: size, filler: 0)
        for index in 0..<traces.count {
            let trace = traces.base[index]
            var slot = Int(truncatingIfNeeded: keyedHash(trace.high, trace.low)) & (size - 1)
            while slots.base[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots.base[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }
}
