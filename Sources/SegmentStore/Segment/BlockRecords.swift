internal import Telemetry

/// Materialises spans of a block: everything that came in.
struct BlockRecords {
    private var block: BlockReader
    private let traces: BlockTraces

    init(_ block: BlockReader, _ traces: BlockTraces) {
        self.block = block
        self.traces = traces
    }

    /// Plain columns of the spans at hand.
    private struct Fields {
        var name, traceState, statusMessage: StringColumn
        var duration, scope, kind, status, flags, marks, weight: IntegerColumn
        var droppedAttributes, droppedEvents, droppedLinks, arrival: IntegerColumn

        init(_ block: inout BlockReader, rows: Range<Int>) throws(SegmentError) {
            let count = block.entry.spans
            name = try block.strings(ColumnID.name, count: count, rows: rows)
            traceState = try block.strings(ColumnID.traceState, count: count, rows: rows)
            statusMessage = try block.strings(ColumnID.statusMessage, count: count, rows: rows)
            duration = try block.integers(ColumnID.duration, count: count, rows: rows)
            scope = try block.integers(ColumnID.scope, count: count, rows: rows)
            kind = try block.integers(ColumnID.kind, count: count, rows: rows)
            status = try block.integers(ColumnID.status, count: count, rows: rows)
            flags = try block.integers(ColumnID.flags, count: count, rows: rows)
            marks = try block.integers(ColumnID.marks, count: count, rows: rows)
            weight = try block.integers(ColumnID.weight, count: count, rows: rows)
            droppedAttributes = try block.integers(ColumnID.droppedAttributes, count: count, rows: rows)
            droppedEvents = try block.integers(ColumnID.droppedEvents, count: count, rows: rows)
            droppedLinks = try block.integers(ColumnID.droppedLinks, count: count, rows: rows)
            arrival = try block.integers(ColumnID.arrival, count: count, rows: rows)
        }
    }

    /// All spans of the given traces of the block, in order.
    mutating func records(of range: Range<Int>) throws(SegmentError) -> [SpanRecord] {
        let rows = traces.firstRows[range.lowerBound]..<traces.firstRows[range.upperBound]
        let count = block.entry.spans
        let fields = try Fields(&block, rows: rows)
        let spanIDs = try block.integers(ColumnID.spanID, count: count, rows: rows)
        let starts = try BlockStarts(&block, traces, traces: range, spanIDs: spanIDs)
        let scopes = try scopes()
        var attributes = try AttributeReader(&block, .span, count: count, owners: rows)
        var events = try EventReader(&block, rows: rows)
        var links = try LinkReader(&block, rows: rows)
        var records: [SpanRecord] = []
        records.reserveCapacity(rows.count)
        for trace in range {
            let id = traces.id(trace)
            for row in traces.firstRows[trace]..<traces.firstRows[trace + 1] {
                let scope = fields.scope[row]
                guard scope < UInt64(scopes.count) else { throw block.damage("scope beyond the block") }
                let (owner, resource) = scopes[Int(scope)]
                let start = starts.starts[row - starts.first]
                let parent = starts.parentIDs[row - starts.first]
                records.append(
                    SpanRecord(
                        traceID: id, spanID: SpanID(spanIDs[row]), parentID: parent == 0 ? nil : SpanID(parent),
                        name: fields.name.text(row), kind: UInt8(truncatingIfNeeded: fields.kind[row]), start: start,
                        end: start &+ fields.duration[row], status: UInt8(truncatingIfNeeded: fields.status[row]),
                        statusMessage: fields.statusMessage.text(row), traceState: fields.traceState.text(row),
                        flags: UInt32(truncatingIfNeeded: fields.flags[row]), attributes: try attributes.next(),
                        events: try events.next(row, start: start), links: try links.next(row),
                        droppedAttributes: UInt32(truncatingIfNeeded: fields.droppedAttributes[row]),
                        droppedEvents: UInt32(truncatingIfNeeded: fields.droppedEvents[row]),
                        droppedLinks: UInt32(truncatingIfNeeded: fields.droppedLinks[row]),
                        marks: SpanMarks(rawValue: UInt16(truncatingIfNeeded: fields.marks[row])),
                        weight: Double(bitPattern: fields.weight[row] ^ SegmentFormat.oneWeight),
                        resource: resource, scope: owner, arrival: fields.arrival[row]))
            }
        }
        return records
    }

    /// Scopes of the block with their resources.
    private mutating func scopes() throws(SegmentError) -> [(Scope, Resource)] {
        let resources = try resources()
        let count = block.entry.scopes
        let rows = 0..<count
        let resourceOf = try block.integers(ColumnID.scopeResource, count: count, rows: rows)
        let names = try block.strings(ColumnID.scopeName, count: count, rows: rows)
        let versions = try block.strings(ColumnID.scopeVersion, count: count, rows: rows)
        let schemas = try block.strings(ColumnID.scopeSchemaURL, count: count, rows: rows)
        let dropped = try block.integers(ColumnID.scopeDropped, count: count, rows: rows)
        var attributes = try AttributeReader(&block, .scope, count: count, owners: rows)
        var scopes: [(Scope, Resource)] = []
        for row in rows {
            guard resourceOf[row] < UInt64(resources.count) else { throw block.damage("resource beyond the block") }
            let scope = Scope(
                name: names.text(row), version: versions.text(row), schemaURL: schemas.text(row),
                attributes: try attributes.next(), droppedAttributes: UInt32(truncatingIfNeeded: dropped[row]))
            scopes.append((scope, resources[Int(resourceOf[row])]))
        }
        return scopes
    }

    private mutating func resources() throws(SegmentError) -> [Resource] {
        let count = block.entry.resources
        let rows = 0..<count
        let schemas = try block.strings(ColumnID.resourceSchemaURL, count: count, rows: rows)
        let services = try block.strings(ColumnID.resourceService, count: count, rows: rows)
        let dropped = try block.integers(ColumnID.resourceDropped, count: count, rows: rows)
        var attributes = try AttributeReader(&block, .resource, count: count, owners: rows)
        var resources: [Resource] = []
        for row in rows {
            resources.append(
                Resource(
                    attributes: try attributes.next(), droppedAttributes: UInt32(truncatingIfNeeded: dropped[row]),
                    schemaURL: schemas.text(row), serviceName: services.text(row)))
        }
        return resources
    }
}

/// Materialises the events of consecutive spans.
struct EventReader {
    private let places: [Int]
    private let times: IntegerColumn
    private let names: StringColumn
    private let dropped: IntegerColumn
    private var attributes: AttributeReader?

    init(_ block: inout BlockReader, rows: Range<Int>) throws(SegmentError) {
        let spans = block.entry.spans
        let count = block.entry.events
        let counts = try block.integers(ColumnID.eventCount, count: spans, rows: 0..<spans)
        places = count == 0 ? [] : try Offsets.sums(counts, count: spans, total: count, block, "events")
        let events = count == 0 ? 0..<0 : places[rows.lowerBound]..<places[rows.upperBound]
        guard !events.isEmpty else {
            times = .zero
            names = .empty
            dropped = .zero
            attributes = nil
            return
        }
        times = try block.integers(ColumnID.eventTime, count: count, rows: events)
        names = try block.strings(ColumnID.eventName, count: count, rows: events)
        dropped = try block.integers(ColumnID.eventDropped, count: count, rows: events)
        attributes = try AttributeReader(&block, .event, count: count, owners: events)
    }

    mutating func next(_ row: Int, start: UInt64) throws(SegmentError) -> [SpanEvent] {
        guard !places.isEmpty, places[row] < places[row + 1] else { return [] }
        var events: [SpanEvent] = []
        for index in places[row]..<places[row + 1] {
            events.append(
                SpanEvent(
                    time: start &+ times[index], name: names.text(index), attributes: try attributes?.next() ?? [],
                    droppedAttributes: UInt32(truncatingIfNeeded: dropped[index])))
        }
        return events
    }
}

/// Materialises the links of consecutive spans.
struct LinkReader {
    private let places: [Int]
    private let high, low, spanIDs, flags, dropped: IntegerColumn
    private let states: StringColumn
    private var attributes: AttributeReader?

    init(_ block: inout BlockReader, rows: Range<Int>) throws(SegmentError) {
        let spans = block.entry.spans
        let count = block.entry.links
        let counts = try block.integers(ColumnID.linkCount, count: spans, rows: 0..<spans)
        places = count == 0 ? [] : try Offsets.sums(counts, count: spans, total: count, block, "links")
        let links = count == 0 ? 0..<0 : places[rows.lowerBound]..<places[rows.upperBound]
        high = try block.integers(ColumnID.linkTraceHigh, count: count, rows: links)
        low = try block.integers(ColumnID.linkTraceLow, count: count, rows: links)
        spanIDs = try block.integers(ColumnID.linkSpanID, count: count, rows: links)
        flags = try block.integers(ColumnID.linkFlags, count: count, rows: links)
        dropped = try block.integers(ColumnID.linkDropped, count: count, rows: links)
        states = try block.strings(ColumnID.linkTraceState, count: count, rows: links)
        attributes = links.isEmpty ? nil : try AttributeReader(&block, .link, count: count, owners: links)
    }

    mutating func next(_ row: Int) throws(SegmentError) -> [SpanLink] {
        guard !places.isEmpty, places[row] < places[row + 1] else { return [] }
        var links: [SpanLink] = []
        for index in places[row]..<places[row + 1] {
            links.append(
                SpanLink(
                    traceID: TraceID(high: high[index], low: low[index]), spanID: SpanID(spanIDs[index]),
                    traceState: states.text(index), flags: UInt32(truncatingIfNeeded: flags[index]),
                    attributes: try attributes?.next() ?? [],
                    droppedAttributes: UInt32(truncatingIfNeeded: dropped[index])))
        }
        return links
    }
}
