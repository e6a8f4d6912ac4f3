internal import Bytes
internal import Telemetry

/// The spans of one block as rows over one arena, without a record or a string per span.
///
/// Strings of a column lie in the arena once, as in the column's dictionary; rows share them.
struct BlockBatch {
    /// A trace of the block, and what its segment says of it.
    struct Trace {
        var id: TraceID
        var rows: Range<Int>
        /// Over all its spans in the segment, also those in other blocks.
        var extent: TraceExtent
    }

    /// Its origin has the tenant; the arrival is zero, see ``arrivals``.
    let batch: SpanBatch
    /// By row.
    let arrivals: [UInt64]
    /// In the order of ids.
    let traces: [Trace]

    init(_ block: consuming BlockReader, tenant: String) throws(SegmentError) {
        try block.loadAll()
        let index = try BlockTraces(&block)
        var decoder = BlockBatchDecoder(block)
        let tables = try decoder.decodeTables()
        let (spans, arrivals) = try decoder.decodeSpans(index, scopeCount: tables.scopes.count)
        self.arrivals = arrivals
        traces = (0..<index.count).map { trace in
            Trace(
                id: index.id(trace), rows: index.firstRows[trace]..<index.firstRows[trace + 1],
                extent: index.extent(trace))
        }
        batch = SpanBatch(
            origin: BatchOrigin(tenant: tenant, arrival: 0), spans: spans, attributes: decoder.attributes,
            events: decoder.events, links: decoder.links, scopes: tables.scopes, resources: tables.resources,
            keys: decoder.keys, arena: decoder.arena)
    }
}

/// Gathers the parts of a ``BlockBatch``.
struct BlockBatchDecoder {
    private var block: BlockReader
    private(set) var arena: [UInt8] = []
    private(set) var keys: [ByteSlice] = []
    private(set) var attributes: [AttributeRow] = []
    private(set) var events: [EventRow] = []
    private(set) var links: [LinkRow] = []
    /// The file's key index -> the batch's.
    private var fileKeys: [UInt32: Int] = [:]
    /// Keys that the shared column brought.
    private var textKeys: [[UInt8]: Int] = [:]

    init(_ block: BlockReader) { self.block = block }

    // MARK: Strings

    /// A string column whose values are in the arena.
    private struct Slices {
        let column: StringColumn
        let base: UInt32

        @inline(__always)
        subscript(row: Int) -> ByteSlice {
            let index = column.index(row)
            let start = column.offsets[index]
            return ByteSlice(offset: base &+ start, count: column.offsets[index + 1] &- start)
        }
    }

    private mutating func keep(_ column: StringColumn) throws(SegmentError) -> Slices {
        guard arena.count + column.bytes.count <= Int(UInt32.max) else { throw block.damage("strings beyond 4 GiB") }
        let base = UInt32(truncatingIfNeeded: arena.count)
        arena.append(contentsOf: column.bytes)
        return Slices(column: column, base: base)
    }

    private mutating func strings(_ id: UInt8, _ count: Int) throws(SegmentError) -> Slices {
        try keep(try block.strings(id, count: count, rows: 0..<count))
    }

    private mutating func integers(_ id: UInt8, _ count: Int) throws(SegmentError) -> IntegerColumn {
        try block.integers(id, count: count, rows: 0..<count)
    }

    // MARK: Attributes

    /// The batch's index of a key of the file.
    mutating func key(_ fileKey: UInt32) -> Int {
        if let known = fileKeys[fileKey] { return known }
        let text = Int(fileKey) < block.keys.count ? block.keys[Int(fileKey)] : []
        let place = key(text)
        fileKeys[fileKey] = place
        return place
    }

    private mutating func key(_ text: [UInt8]) -> Int {
        if let known = textKeys[text] { return known }
        keys.append(
            ByteSlice(
                offset: UInt32(truncatingIfNeeded: arena.count), count: UInt32(truncatingIfNeeded: text.count)))
        arena.append(contentsOf: text)
        textKeys[text] = keys.count - 1
        return keys.count - 1
    }

    /// Appends the attributes of all owners of one kind. Returns where those of each start; one more than owners.
    private mutating func append(_ owner: AttributeOwner, count: Int) throws(SegmentError) -> [UInt32] {
        let shapes = try AttributeShapes(&block, owner, count: count)
        let totals = shapes.occurrences(0..<count)
        var rows: [AttributeRow] = []
        rows.reserveCapacity(totals.reduce(0, +))
        var next: [Int] = []
        for (column, place) in shapes.places.enumerated() {
            next.append(rows.count)
            if totals[column] > 0 { try appendValues(place, count: totals[column], to: &rows) }
        }
        next.append(rows.count)
        if let shared = totals.last, shared > 0 { try appendShared(owner, count: shared, to: &rows) }
        var starts: [UInt32] = [UInt32(truncatingIfNeeded: attributes.count)]
        starts.reserveCapacity(count + 1)
        attributes.reserveCapacity(attributes.count + rows.count)
        let last = next.count - 1
        for index in 0..<count {
            for column in shapes.shapes[shapes.codes.index(index)] {
                let place = min(Int(column), last)
                attributes.append(rows[next[place]])
                next[place] += 1
            }
            starts.append(UInt32(truncatingIfNeeded: attributes.count))
        }
        return starts
    }

    private mutating func appendValues(
        _ place: Int, count: Int, to rows: inout [AttributeRow]
    ) throws(SegmentError) {
        let entry = block.entry.columns[place]
        guard let type = AttributeType(rawValue: entry.type) else { throw block.damage("unknown attribute type") }
        let key = key(entry.key)
        switch type {
        case .empty:
            for _ in 0..<count { rows.append(AttributeRow(key: key, type: type, payload: 0)) }
        case .bool, .double:
            let values = try block.integers(place: place, count: count, rows: 0..<count)
            for row in 0..<count { rows.append(AttributeRow(key: key, type: type, payload: values[row])) }
        case .int:
            let values = try block.integers(place: place, count: count, rows: 0..<count)
            for row in 0..<count {
                let payload = UInt64(bitPattern: zigzagDecoded(values[row]))
                rows.append(AttributeRow(key: key, type: type, payload: payload))
            }
        case .string, .bytes, .array, .map:
            let slices = try keep(try block.strings(place: place, count: count, rows: 0..<count))
            for row in 0..<count { rows.append(AttributeRow(key: key, type: type, slice: slices[row])) }
        }
    }

    /// Attributes whose key is stored with them.
    private mutating func appendShared(
        _ owner: AttributeOwner, count: Int, to rows: inout [AttributeRow]
    ) throws(SegmentError) {
        let slices = try strings(ColumnID.shared(owner), count)
        for row in 0..<count {
            let slice = slices[row]
            let bytes = Array(arena[Int(slice.offset)..<Int(slice.offset) + Int(slice.count)])
            var reader = ByteReader(bytes.span.bytes)
            do {
                let key = key(try reader.readText())
                guard let type = AttributeType(rawValue: try reader.read(UInt8.self)) else {
                    throw block.damage("unknown attribute type")
                }
                if type.isSlice {
                    let start = UInt32(truncatingIfNeeded: reader.offset)
                    let value = ByteSlice(offset: slice.offset &+ start, count: slice.count &- start)
                    rows.append(AttributeRow(key: key, type: type, slice: value))
                } else {
                    let payload = type == .empty ? 0 : try reader.read(UInt64.self)
                    rows.append(AttributeRow(key: key, type: type, payload: payload))
                }
            } catch let error as SegmentError {
                throw error
            } catch {
                throw block.damage("shared attribute: \(error)")
            }
        }
    }

    // MARK: Tables

    mutating func decodeTables() throws(SegmentError) -> (scopes: [ScopeRow], resources: [ResourceRow]) {
        let count = block.entry.scopes
        let resourceOf = try integers(ColumnID.scopeResource, count)
        let names = try strings(ColumnID.scopeName, count)
        let versions = try strings(ColumnID.scopeVersion, count)
        let schemas = try strings(ColumnID.scopeSchemaURL, count)
        let dropped = try integers(ColumnID.scopeDropped, count)
        let starts = try append(.scope, count: count)
        var scopes: [ScopeRow] = []
        for row in 0..<count {
            guard resourceOf[row] < UInt64(block.entry.resources) else {
                throw block.damage("resource beyond the block")
            }
            var scope = ScopeRow()
            scope.resource = UInt32(truncatingIfNeeded: resourceOf[row])
            scope.firstAttribute = starts[row]
            scope.attributeCount = starts[row + 1] &- starts[row]
            scope.droppedAttributes = UInt32(truncatingIfNeeded: dropped[row])
            scope.name = names[row]
            scope.version = versions[row]
            scope.schemaURL = schemas[row]
            scopes.append(scope)
        }
        return (scopes, try decodeResources())
    }

    private mutating func decodeResources() throws(SegmentError) -> [ResourceRow] {
        let count = block.entry.resources
        let schemas = try strings(ColumnID.resourceSchemaURL, count)
        let services = try strings(ColumnID.resourceService, count)
        let dropped = try integers(ColumnID.resourceDropped, count)
        let starts = try append(.resource, count: count)
        return (0..<count).map { row in
            var resource = ResourceRow()
            resource.firstAttribute = starts[row]
            resource.attributeCount = starts[row + 1] &- starts[row]
            resource.droppedAttributes = UInt32(truncatingIfNeeded: dropped[row])
            resource.schemaURL = schemas[row]
            resource.serviceName = services[row]
            return resource
        }
    }

    // MARK: Spans

    mutating func decodeSpans(
        _ index: BlockTraces, scopeCount: Int
    ) throws(SegmentError) -> (spans: [SpanRow], arrivals: [UInt64]) {
        let count = block.entry.spans
        let spanIDs = try integers(ColumnID.spanID, count)
        let starts = try BlockStarts(&block, index, traces: 0..<index.count, spanIDs: spanIDs)
        let durations = try integers(ColumnID.duration, count)
        let scopes = try integers(ColumnID.scope, count)
        var spans = [SpanRow](repeating: SpanRow(), count: count)
        for trace in 0..<index.count {
            let id = index.id(trace)
            for row in index.firstRows[trace]..<index.firstRows[trace + 1] {
                guard scopes[row] < UInt64(scopeCount) else { throw block.damage("scope beyond the block") }
                spans[row].traceHigh = id.high
                spans[row].traceLow = id.low
                spans[row].spanID = spanIDs[row]
                spans[row].parentID = starts.parentIDs[row]
                spans[row].start = starts.starts[row]
                spans[row].end = starts.starts[row] &+ durations[row]
                spans[row].scope = UInt32(truncatingIfNeeded: scopes[row])
            }
        }
        try decodeFields(&spans)
        try decodeEvents(&spans)
        try decodeLinks(&spans)
        let attributeStarts = try append(.span, count: count)
        let arrivals = try integers(ColumnID.arrival, count)
        for row in 0..<count {
            spans[row].firstAttribute = attributeStarts[row]
            spans[row].attributeCount = attributeStarts[row + 1] &- attributeStarts[row]
        }
        return (spans, (0..<count).map { arrivals[$0] })
    }

    private mutating func decodeFields(_ spans: inout [SpanRow]) throws(SegmentError) {
        let count = spans.count
        let names = try strings(ColumnID.name, count)
        let states = try strings(ColumnID.traceState, count)
        let messages = try strings(ColumnID.statusMessage, count)
        let kinds = try integers(ColumnID.kind, count)
        let statuses = try integers(ColumnID.status, count)
        let flags = try integers(ColumnID.flags, count)
        let marks = try integers(ColumnID.marks, count)
        let weights = try integers(ColumnID.weight, count)
        let attributes = try integers(ColumnID.droppedAttributes, count)
        let events = try integers(ColumnID.droppedEvents, count)
        let links = try integers(ColumnID.droppedLinks, count)
        for row in 0..<count {
            spans[row].name = names[row]
            spans[row].traceState = states[row]
            spans[row].statusMessage = messages[row]
            spans[row].kind = UInt8(truncatingIfNeeded: kinds[row])
            spans[row].status = UInt8(truncatingIfNeeded: statuses[row])
            spans[row].flags = UInt32(truncatingIfNeeded: flags[row])
            spans[row].marks = SpanMarks(rawValue: UInt16(truncatingIfNeeded: marks[row]))
            spans[row].weight = Double(bitPattern: weights[row] ^ SegmentFormat.oneWeight)
            spans[row].droppedAttributes = UInt32(truncatingIfNeeded: attributes[row])
            spans[row].droppedEvents = UInt32(truncatingIfNeeded: events[row])
            spans[row].droppedLinks = UInt32(truncatingIfNeeded: links[row])
        }
    }

    private mutating func decodeEvents(_ spans: inout [SpanRow]) throws(SegmentError) {
        let count = block.entry.events
        guard count > 0 else { return }
        let counts = try integers(ColumnID.eventCount, spans.count)
        let places = try Offsets.sums(counts, count: spans.count, total: count, block, "events")
        let times = try integers(ColumnID.eventTime, count)
        let names = try strings(ColumnID.eventName, count)
        let dropped = try integers(ColumnID.eventDropped, count)
        let starts = try append(.event, count: count)
        events.reserveCapacity(count)
        for row in spans.indices {
            spans[row].firstEvent = UInt32(truncatingIfNeeded: places[row])
            spans[row].eventCount = UInt32(truncatingIfNeeded: places[row + 1] - places[row])
            for index in places[row]..<places[row + 1] {
                var event = EventRow()
                event.time = spans[row].start &+ times[index]
                event.name = names[index]
                event.firstAttribute = starts[index]
                event.attributeCount = starts[index + 1] &- starts[index]
                event.droppedAttributes = UInt32(truncatingIfNeeded: dropped[index])
                events.append(event)
            }
        }
    }

    private mutating func decodeLinks(_ spans: inout [SpanRow]) throws(SegmentError) {
        let count = block.entry.links
        guard count > 0 else { return }
        let counts = try integers(ColumnID.linkCount, spans.count)
        let places = try Offsets.sums(counts, count: spans.count, total: count, block, "links")
        let high = try integers(ColumnID.linkTraceHigh, count)
        let low = try integers(ColumnID.linkTraceLow, count)
        let spanIDs = try integers(ColumnID.linkSpanID, count)
        let states = try strings(ColumnID.linkTraceState, count)
        let flags = try integers(ColumnID.linkFlags, count)
        let dropped = try integers(ColumnID.linkDropped, count)
        let starts = try append(.link, count: count)
        links.reserveCapacity(count)
        for index in 0..<count {
            var link = LinkRow()
            link.traceHigh = high[index]
            link.traceLow = low[index]
            link.spanID = spanIDs[index]
            link.traceState = states[index]
            link.flags = UInt32(truncatingIfNeeded: flags[index])
            link.droppedAttributes = UInt32(truncatingIfNeeded: dropped[index])
            link.firstAttribute = starts[index]
            link.attributeCount = starts[index + 1] &- starts[index]
            links.append(link)
        }
        for row in spans.indices {
            spans[row].firstLink = UInt32(truncatingIfNeeded: places[row])
            spans[row].linkCount = UInt32(truncatingIfNeeded: places[row + 1] - places[row])
        }
    }
}
