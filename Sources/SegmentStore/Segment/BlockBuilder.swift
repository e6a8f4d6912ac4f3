internal import Bytes
internal import Telemetry

/// Gathers the spans of one block in columns, row by row. Reused for block after block.
struct BlockBuilder: ~Copyable {
    /// Columns of integers and of strings by ``ColumnID``; a column uses one of the two.
    let integers: UnsafeMutablePointer<GrowingBuffer<UInt64>>
    let strings: UnsafeMutablePointer<StringInterner>
    private static let columnCount = 43

    var spanAttributes: AttributeColumns
    var eventAttributes: AttributeColumns
    var linkAttributes: AttributeColumns
    var scopeAttributes: AttributeColumns
    var resourceAttributes: AttributeColumns

    var entry = BlockEntry()
    /// Bytes of strings taken, to close a block before it becomes too large.
    var textBytes = 0
    /// Distinct scopes in order of first use, as indexes into ``BatchTables/scopeRows``.
    private(set) var scopes: [Int] = []
    private var scopePlaces: GrowingBuffer<UInt32>
    private var parents = ParentTable()
    /// Of the spans of the trace at hand.
    var starts = GrowingBuffer<UInt64>()
    var parentIDs = GrowingBuffer<UInt64>()
    private var trace = SpanOrder.Trace(high: 0, low: 0, start: 0, end: 0, tenant: 0, first: 0, count: 0)

    init(keyCount: Int, scopeCount: Int) {
        integers = .allocate(capacity: Self.columnCount)
        strings = .allocate(capacity: Self.columnCount)
        for index in 0..<Self.columnCount {
            (integers + index).initialize(to: GrowingBuffer(capacity: 64))
            (strings + index).initialize(to: StringInterner())
        }
        spanAttributes = AttributeColumns(owner: .span, keyCount: keyCount)
        eventAttributes = AttributeColumns(owner: .event, keyCount: keyCount)
        linkAttributes = AttributeColumns(owner: .link, keyCount: keyCount)
        scopeAttributes = AttributeColumns(owner: .scope, keyCount: keyCount)
        resourceAttributes = AttributeColumns(owner: .resource, keyCount: keyCount)
        scopePlaces = GrowingBuffer(capacity: max(1, scopeCount))
        scopePlaces.resize(to: scopeCount, filler: 0)
    }

    deinit {
        integers.deinitialize(count: Self.columnCount)
        integers.deallocate()
        strings.deinitialize(count: Self.columnCount)
        strings.deallocate()
    }

    mutating func removeAll() {
        for index in 0..<Self.columnCount {
            integers[index].removeAll()
            strings[index].removeAll()
        }
        spanAttributes.removeAll()
        eventAttributes.removeAll()
        linkAttributes.removeAll()
        scopeAttributes.removeAll()
        resourceAttributes.removeAll()
        for scope in scopes { scopePlaces.base[scope] = 0 }
        scopes.removeAll(keepingCapacity: true)
        entry = BlockEntry()
        textBytes = 0
    }

    @inline(__always)
    private func put(_ id: UInt8, _ value: UInt64) { integers[Int(id)].append(value) }

    @inline(__always)
    private mutating func put(_ id: UInt8, _ slice: ByteSlice, _ arena: UnsafeRawPointer) {
        strings[Int(id)].append(arena + Int(slice.offset), Int(slice.count))
        textBytes &+= Int(slice.count)
    }

    mutating func beginTrace(_ trace: SpanOrder.Trace) {
        self.trace = trace
        starts.removeAll()
        parentIDs.removeAll()
    }

    /// Spans of the trace begun that are in this block.
    var partSpans: Int { starts.count }

    /// Ends the part of the trace that is in this block: parents and starts become relative to each other.
    mutating func endTrace() {
        guard let count = addTrace() else { return }
        let ids = integers[Int(ColumnID.spanID)].base + (entry.spans - count)
        if count > 1 {
            parents.begin(count: count)
            for row in 0..<count { parents.add(ids[row], row: row) }
        }
        for row in 0..<count {
            var base = trace.start
            let parentID = parentIDs.base[row]
            if parentID == 0 {
                put(ColumnID.parent, 0)
            } else if count > 1, let parent = parents.row(of: parentID) {
                put(ColumnID.parent, 2 &+ zigzagEncoded(Int64(row - parent)))
                if parent < row { base = starts.base[parent] }
            } else {
                put(ColumnID.parent, 1)
                put(ColumnID.parentID, parentID)
            }
            put(ColumnID.startOffset, starts.base[row] &- base)
        }
    }

    /// The same for a trace that is one run and was a trace of its own in the source too: nothing has moved.
    mutating func endTrace(as rows: Range<Int>, of source: BlockColumns) {
        guard addTrace() != nil else { return }
        integers[Int(ColumnID.parent)].append(rows, of: source.parents)
        integers[Int(ColumnID.startOffset)].append(rows, of: source.startOffsets)
        for row in rows where source.parents[row] == 1 { put(ColumnID.parentID, source.parentIDs[row]) }
    }

    /// What the block says of the trace itself. Returns the number of its spans here; nil when there are none.
    private mutating func addTrace() -> Int? {
        let count = starts.count
        guard count > 0 else { return nil }
        if entry.traces == 0 {
            entry.tenant = Int(trace.tenant)
            entry.firstHigh = trace.high
            entry.firstLow = trace.low
        }
        entry.lastHigh = trace.high
        entry.lastLow = trace.low
        entry.traces += 1
        put(ColumnID.traceHigh, trace.high)
        put(ColumnID.traceLow, trace.low)
        put(ColumnID.traceSpans, UInt64(count))
        put(ColumnID.traceStart, trace.start)
        put(ColumnID.traceExtent, trace.end &- trace.start)
        return count
    }

    /// Makes room for keys and scopes that came to the tables since.
    mutating func grow(keyCount: Int, scopeCount: Int) {
        if scopePlaces.count < scopeCount { scopePlaces.resize(to: scopeCount, filler: 0) }
        spanAttributes.grow(keyCount: keyCount)
        eventAttributes.grow(keyCount: keyCount)
        linkAttributes.grow(keyCount: keyCount)
        scopeAttributes.grow(keyCount: keyCount)
        resourceAttributes.grow(keyCount: keyCount)
    }

    /// Appends one span of the trace begun. `scopeMap` and `keys` map the batch's scopes and keys to the tables'.
    mutating func append(
        _ span: SpanRow, arrival: UInt64, _ batch: SpanBatch, tables: borrowing BatchTables,
        scopeMap: UnsafePointer<UInt32>,
        keys: UnsafePointer<UInt32>
    ) {
        appendFields(span, arrival: arrival)
        put(ColumnID.scope, UInt64(place(ofScope: Int(scopeMap[Int(span.scope)]))))
        batch.arena.withUnsafeBytes { arena in
            let arena = arena.baseAddress ?? UnsafeRawPointer(starts.base)
            put(ColumnID.name, span.name, arena)
            put(ColumnID.traceState, span.traceState, arena)
            put(ColumnID.statusMessage, span.statusMessage, arena)
            batch.attributes.withUnsafeBytes { attributes in
                let attributes = attributes.baseAddress ?? arena
                textBytes &+= spanAttributes.append(
                    attributes + Int(span.firstAttribute) * 16, count: Int(span.attributeCount), arena: arena,
                    keys: keys, keyTable: tables.keys)
                if span.eventCount > 0 {
                    appendEvents(span, batch, tables: tables, arena: arena, attributes: attributes, keys: keys)
                }
                if span.linkCount > 0 {
                    appendLinks(span, batch, tables: tables, arena: arena, attributes: attributes, keys: keys)
                }
            }
        }
    }

    private mutating func appendFields(_ span: SpanRow, arrival: UInt64) {
        entry.spans += 1
        starts.append(span.start)
        parentIDs.append(span.parentID)
        let duration = span.end > span.start ? span.end - span.start : 0
        entry.earliestStart = min(entry.earliestStart, span.start)
        entry.latestStart = max(entry.latestStart, span.start)
        entry.longestDuration = max(entry.longestDuration, duration)
        entry.earliestArrival = min(entry.earliestArrival, arrival)
        entry.latestArrival = max(entry.latestArrival, arrival)
        if span.status == 2 { entry.hasError = true }
        put(ColumnID.spanID, span.spanID)
        put(ColumnID.duration, span.end &- span.start)
        put(ColumnID.kind, UInt64(span.kind))
        put(ColumnID.status, UInt64(span.status))
        put(ColumnID.flags, UInt64(span.flags))
        put(ColumnID.marks, UInt64(span.marks.rawValue))
        put(ColumnID.weight, span.weight.bitPattern ^ SegmentFormat.oneWeight)
        put(ColumnID.droppedAttributes, UInt64(span.droppedAttributes))
        put(ColumnID.droppedEvents, UInt64(span.droppedEvents))
        put(ColumnID.droppedLinks, UInt64(span.droppedLinks))
        put(ColumnID.arrival, arrival)
        put(ColumnID.eventCount, UInt64(span.eventCount))
        put(ColumnID.linkCount, UInt64(span.linkCount))
    }

    /// The block's place of a distinct scope.
    mutating func place(ofScope scope: Int) -> Int {
        let known = scopePlaces.base[scope]
        if known > 0 { return Int(known) - 1 }
        scopes.append(scope)
        scopePlaces.base[scope] = UInt32(truncatingIfNeeded: scopes.count)
        return scopes.count - 1
    }

    private mutating func appendEvents(
        _ span: SpanRow, _ batch: SpanBatch, tables: borrowing BatchTables, arena: UnsafeRawPointer,
        attributes: UnsafeRawPointer, keys: UnsafePointer<UInt32>
    ) {
        let first = Int(span.firstEvent)
        for index in first..<first + Int(span.eventCount) {
            let event = batch.events[index]
            entry.events += 1
            put(ColumnID.eventTime, event.time &- span.start)
            put(ColumnID.eventName, event.name, arena)
            put(ColumnID.eventDropped, UInt64(event.droppedAttributes))
            textBytes &+= eventAttributes.append(
                attributes + Int(event.firstAttribute) * 16, count: Int(event.attributeCount), arena: arena,
                keys: keys, keyTable: tables.keys)
        }
    }

    private mutating func appendLinks(
        _ span: SpanRow, _ batch: SpanBatch, tables: borrowing BatchTables, arena: UnsafeRawPointer,
        attributes: UnsafeRawPointer, keys: UnsafePointer<UInt32>
    ) {
        let first = Int(span.firstLink)
        for index in first..<first + Int(span.linkCount) {
            let link = batch.links[index]
            entry.links += 1
            put(ColumnID.linkTraceHigh, link.traceHigh)
            put(ColumnID.linkTraceLow, link.traceLow)
            put(ColumnID.linkSpanID, link.spanID)
            put(ColumnID.linkTraceState, link.traceState, arena)
            put(ColumnID.linkFlags, UInt64(link.flags))
            put(ColumnID.linkDropped, UInt64(link.droppedAttributes))
            textBytes &+= linkAttributes.append(
                attributes + Int(link.firstAttribute) * 16, count: Int(link.attributeCount), arena: arena,
                keys: keys, keyTable: tables.keys)
        }
    }

    /// Adds the block's scopes and resources, taken from the batches that had them first.
    mutating func addTables(_ batches: [SpanBatch], _ tables: borrowing BatchTables) {
        var resources: [Int] = []
        var places: [Int: Int] = [:]
        for index in scopes {
            let source = tables.scopeRows[index]
            if places[source.resource] == nil {
                places[source.resource] = resources.count
                resources.append(source.resource)
            }
            let scope = batches[source.batch].scopes[source.row]
            put(ColumnID.scopeResource, UInt64(places[source.resource] ?? 0))
            addOwner(
                batches[source.batch], source.batch, tables, .scope, scope.attributes,
                dropped: (ColumnID.scopeDropped, scope.droppedAttributes),
                text: [
                    (ColumnID.scopeName, scope.name), (ColumnID.scopeVersion, scope.version),
                    (ColumnID.scopeSchemaURL, scope.schemaURL),
                ])
        }
        for index in resources {
            let source = tables.resourceRows[index]
            let resource = batches[source.batch].resources[source.row]
            addOwner(
                batches[source.batch], source.batch, tables, .resource, resource.attributes,
                dropped: (ColumnID.resourceDropped, resource.droppedAttributes),
                text: [
                    (ColumnID.resourceSchemaURL, resource.schemaURL),
                    (ColumnID.resourceService, resource.serviceName),
                ])
        }
        entry.scopes = scopes.count
        entry.resources = resources.count
    }

    private mutating func addOwner(
        _ batch: SpanBatch, _ index: Int, _ tables: borrowing BatchTables, _ owner: AttributeOwner,
        _ range: Range<Int>, dropped: (id: UInt8, count: UInt32), text: [(id: UInt8, slice: ByteSlice)]
    ) {
        put(dropped.id, UInt64(dropped.count))
        let keys = tables.keys.codes.base + tables.keyStarts[index]
        batch.arena.withUnsafeBytes { arena in
            let arena = arena.baseAddress ?? UnsafeRawPointer(starts.base)
            for (id, slice) in text { put(id, slice, arena) }
            batch.attributes.withUnsafeBytes { rows in
                let rows = (rows.baseAddress ?? arena) + range.lowerBound * 16
                if owner == .scope {
                    _ = scopeAttributes.append(
                        rows, count: range.count, arena: arena, keys: keys, keyTable: tables.keys)
                } else {
                    _ = resourceAttributes.append(
                        rows, count: range.count, arena: arena, keys: keys, keyTable: tables.keys)
                }
            }
        }
    }

    /// The entry with the columns given, for the directory.
    func finished(_ columns: [ColumnEntry]) -> BlockEntry {
        var result = entry
        result.columns = columns
        return result
    }
}
