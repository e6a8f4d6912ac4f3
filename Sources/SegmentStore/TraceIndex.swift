internal import Telemetry

/// Where the spans of each trace lie in the head: a flat hash table of traces, and one node a span, chained backwards.
///
/// No allocation a span: both arrays grow by doubling. Owned by the head, used under its lock.
struct TraceIndex {
    struct Entry {
        var traceHigh: UInt64
        var traceLow: UInt64
        var start: UInt64
        var end: UInt64
        var tenant: UInt32
        /// The newest span's node.
        var lastNode: UInt32

        var extent: TraceExtent {
            TraceExtent(traceID: TraceID(high: traceHigh, low: traceLow), start: start, end: end)
        }
    }

    struct Node {
        var batch: UInt32
        var row: UInt32
        /// Node of the trace's span before; `none` for its first.
        var previous: UInt32
    }

    static let none = UInt32.max

    private(set) var entries: [Entry] = []
    private var nodes: [Node] = []
    /// Entry index + 1, or 0 for a free slot; a power of two.
    private var slots = [UInt32](repeating: 0, count: 1024)
    private let seed = UInt64.random(in: .min ... .max)

    var spanCount: Int { nodes.count }

    mutating func insert(_ batch: SpanBatch, at batchIndex: UInt32, tenant: UInt32) {
        nodes.reserveCapacityDoubling(nodes.count + batch.spans.count)
        for (row, span) in batch.spans.enumerated() {
            let entry = entry(for: span, tenant: tenant)
            let node = UInt32(truncatingIfNeeded: nodes.count)
            nodes.append(
                Node(
                    batch: batchIndex, row: UInt32(truncatingIfNeeded: row), previous: entries[entry].lastNode))
            entries[entry].lastNode = node
            if span.start < entries[entry].start { entries[entry].start = span.start }
            if span.end > entries[entry].end { entries[entry].end = span.end }
        }
    }

    private mutating func entry(for span: SpanRow, tenant: UInt32) -> Int {
        var slot = self.slot(span.traceHigh, span.traceLow, tenant)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if matches(index, span.traceHigh, span.traceLow, tenant) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        entries.append(
            Entry(
                traceHigh: span.traceHigh, traceLow: span.traceLow, start: span.start, end: span.end,
                tenant: tenant, lastNode: Self.none))
        slots[slot] = UInt32(truncatingIfNeeded: entries.count)
        if entries.count * 2 > slots.count { grow() }
        return entries.count - 1
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for (index, entry) in entries.enumerated() {
            var slot = self.slot(entry.traceHigh, entry.traceLow, entry.tenant)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }

    /// The entry of a trace, or nil.
    func find(_ traceID: TraceID, tenant: UInt32) -> Int? {
        var slot = self.slot(traceID.high, traceID.low, tenant)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if matches(index, traceID.high, traceID.low, tenant) { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    /// The nodes of an entry's spans, newest first.
    func nodes(of entry: Int) -> [Node] {
        var found: [Node] = []
        var next = entries[entry].lastNode
        while next != Self.none {
            let node = nodes[Int(next)]
            found.append(node)
            next = node.previous
        }
        return found
    }

    @inline(__always)
    private func matches(_ index: Int, _ high: UInt64, _ low: UInt64, _ tenant: UInt32) -> Bool {
        entries[index].traceLow == low && entries[index].traceHigh == high && entries[index].tenant == tenant
    }

    @inline(__always)
    private func slot(_ high: UInt64, _ low: UInt64, _ tenant: UInt32) -> Int {
        let first = (low ^ seed).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        let second = (first.high ^ first.low ^ high &+ UInt64(tenant)).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
        return Int(truncatingIfNeeded: second.high ^ second.low) & (slots.count - 1)
    }
}

extension Array {
    /// Reserves for `count` elements, at least doubling, so that repeated calls stay cheap.
    mutating func reserveCapacityDoubling(_ count: Int) {
        if count > capacity { reserveCapacity(Swift.max(count, capacity * 2)) }
    }
}
