internal import Telemetry

/// The spans of one block by columns: what a merge takes, in runs of rows, without a row or a string per span.
///
/// Strings stay indexes into their columns' values. Blocks with attributes that share one column are ``rows()`` only.
final class BlockColumns {
    typealias Trace = BlockBatch.Trace

    /// What a span has columns of its own for, whose values are copied as they are.
    static let copied: [UInt8] = [
        ColumnID.spanID, ColumnID.duration, ColumnID.kind, ColumnID.status, ColumnID.flags, ColumnID.marks,
        ColumnID.droppedAttributes, ColumnID.droppedEvents, ColumnID.droppedLinks, ColumnID.arrival,
        ColumnID.eventCount, ColumnID.linkCount,
    ]

    let spanCount: Int
    /// In the order of ids.
    let traces: [Trace]
    /// By row, as unix nanoseconds.
    let starts: [UInt64]
    /// By row; zero for a root.
    let parentIDs: [UInt64]
    /// As stored: relative to the row and to the parent's start.
    let parents, startOffsets: IntegerColumn
    /// By ``copied``.
    let integers: [IntegerColumn]
    let scopes, weights: IntegerColumn
    let names, traceStates, statusMessages: StringColumn
    /// Nil where an attribute lies in a shared column.
    let attributes: OwnerColumns?
    let events: EventColumns?
    let links: LinkColumns?
    /// Scopes, resources and keys; without spans.
    let tables: SpanBatch
    private let spanText: Int
    private let reader: BlockReader

    init(_ block: BlockReader, tenant: String) throws(SegmentError) {
        var block = block
        try block.loadAll()
        let index = try BlockTraces(&block)
        let count = block.entry.spans
        spanCount = count
        traces = (0..<index.count).map { trace in
            Trace(
                id: index.id(trace), rows: index.firstRows[trace]..<index.firstRows[trace + 1],
                extent: index.extent(trace))
        }
        var decoder = BlockBatchDecoder(block)
        let (scopeRows, resourceRows) = try decoder.decodeTables()
        var integers: [IntegerColumn] = []
        for id in Self.copied { integers.append(try block.integers(id, count: count, rows: 0..<count)) }
        // What is not there is not counted either.
        if block.entry.events == 0 { integers[10] = .zero }
        if block.entry.links == 0 { integers[11] = .zero }
        self.integers = integers
        let order = try BlockStarts(&block, index, traces: 0..<index.count, spanIDs: integers[0])
        starts = order.starts
        parentIDs = order.parentIDs
        parents = order.parents
        startOffsets = order.offsets
        scopes = try block.integers(ColumnID.scope, count: count, rows: 0..<count)
        guard scopes.largest < UInt64(scopeRows.count) || count == 0 else {
            throw block.damage("scope beyond the block")
        }
        weights = try block.integers(ColumnID.weight, count: count, rows: 0..<count)
        names = try block.strings(ColumnID.name, count: count, rows: 0..<count)
        traceStates = try block.strings(ColumnID.traceState, count: count, rows: 0..<count)
        statusMessages = try block.strings(ColumnID.statusMessage, count: count, rows: 0..<count)
        events = try EventColumns(&block, counts: integers[10], &decoder)
        links = try LinkColumns(&block, counts: integers[11], &decoder)
        attributes = try OwnerColumns(&block, .span, count: count) { decoder.key($0) }
        tables = SpanBatch(
            origin: BatchOrigin(tenant: tenant, arrival: 0), spans: [], attributes: decoder.attributes, events: [],
            links: [], scopes: scopeRows, resources: resourceRows, keys: decoder.keys, arena: decoder.arena)
        spanText = names.longest + traceStates.longest + statusMessages.longest + (attributes?.largestText ?? 0)
        block.unload()
        reader = block
    }

    /// Whether runs of rows can be taken; else only ``rows()``.
    var isColumnar: Bool {
        attributes != nil && (events == nil || events?.attributes != nil) && (links == nil || links?.attributes != nil)
    }

    var spanIDs: IntegerColumn { integers[0] }
    var durations: IntegerColumn { integers[1] }
    var statuses: IntegerColumn { integers[3] }
    var arrivals: IntegerColumn { integers[9] }

    private var decodedRows: BlockBatch?

    /// The same block as rows, made when it is first asked for.
    func rows() throws(SegmentError) -> BlockBatch {
        if let decodedRows { return decodedRows }
        let made = try BlockBatch(reader, tenant: tables.origin.tenant)
        decodedRows = made
        return made
    }

    /// No run of these rows has more bytes of text.
    func textBound(_ rows: Range<Int>) -> Int {
        rows.count * spanText + (events?.textBound(rows) ?? 0) + (links?.textBound(rows) ?? 0)
    }
}

/// The events of a block's spans; those of a run of spans are a run of events.
final class EventColumns {
    /// By span: the first of its events; one more than there are spans.
    let places: [Int]
    /// Relative to the span's start.
    let times, dropped: IntegerColumn
    let names: StringColumn
    let attributes: OwnerColumns?
    private let largestText: Int

    /// Nil when there is none.
    init?(_ block: inout BlockReader, counts: IntegerColumn, _ decoder: inout BlockBatchDecoder) throws(SegmentError) {
        let count = block.entry.events
        guard count > 0 else { return nil }
        places = try Offsets.sums(counts, count: block.entry.spans, total: count, block, "events")
        times = try block.integers(ColumnID.eventTime, count: count, rows: 0..<count)
        names = try block.strings(ColumnID.eventName, count: count, rows: 0..<count)
        dropped = try block.integers(ColumnID.eventDropped, count: count, rows: 0..<count)
        attributes = try OwnerColumns(&block, .event, count: count) { decoder.key($0) }
        largestText = names.longest + (attributes?.largestText ?? 0)
    }

    func range(_ rows: Range<Int>) -> Range<Int> { places[rows.lowerBound]..<places[rows.upperBound] }

    func textBound(_ rows: Range<Int>) -> Int { range(rows).count * largestText }
}

/// The links of a block's spans; those of a run of spans are a run of links.
final class LinkColumns {
    /// What a link has columns of its own for.
    static let copied: [UInt8] = [
        ColumnID.linkTraceHigh, ColumnID.linkTraceLow, ColumnID.linkSpanID, ColumnID.linkFlags, ColumnID.linkDropped,
    ]

    /// By span: the first of its links; one more than there are spans.
    let places: [Int]
    /// By ``copied``.
    let integers: [IntegerColumn]
    let traceStates: StringColumn
    let attributes: OwnerColumns?
    private let largestText: Int

    /// Nil when there is none.
    init?(_ block: inout BlockReader, counts: IntegerColumn, _ decoder: inout BlockBatchDecoder) throws(SegmentError) {
        let count = block.entry.links
        guard count > 0 else { return nil }
        places = try Offsets.sums(counts, count: block.entry.spans, total: count, block, "links")
        var integers: [IntegerColumn] = []
        for id in Self.copied { integers.append(try block.integers(id, count: count, rows: 0..<count)) }
        self.integers = integers
        traceStates = try block.strings(ColumnID.linkTraceState, count: count, rows: 0..<count)
        attributes = try OwnerColumns(&block, .link, count: count) { decoder.key($0) }
        largestText = traceStates.longest + (attributes?.largestText ?? 0)
    }

    func range(_ rows: Range<Int>) -> Range<Int> { places[rows.lowerBound]..<places[rows.upperBound] }

    func textBound(_ rows: Range<Int>) -> Int { range(rows).count * largestText }
}

extension IntegerColumn {
    /// The largest value of a column that was read whole.
    var largest: UInt64 { values.isEmpty ? constant : values.reduce(0) { max($0, $1) } }
}
