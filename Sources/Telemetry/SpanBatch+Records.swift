/// Rows to records and back: for queries, tests and the slow decoders.
extension SpanBatch {
    /// Materialises the span at `index` of ``spans``.
    package func record(_ index: Int) -> SpanRecord {
        let row = spans[index]
        let scope = scopes[Int(row.scope)]
        let resource = resources[Int(scope.resource)]
        return SpanRecord(
            traceID: row.traceID, spanID: SpanID(row.spanID), parentID: row.parentID == 0 ? nil : SpanID(row.parentID),
            name: string(row.name), kind: row.kind, start: row.start, end: row.end, status: row.status,
            statusMessage: string(row.statusMessage), traceState: string(row.traceState), flags: row.flags,
            attributes: attributeRecords(row.attributes), events: events[row.events].map(eventRecord),
            links: links[row.links].map(linkRecord), droppedAttributes: row.droppedAttributes,
            droppedEvents: row.droppedEvents, droppedLinks: row.droppedLinks, marks: row.marks, weight: row.weight,
            resource: Resource(
                attributes: attributeRecords(resource.attributes), droppedAttributes: resource.droppedAttributes,
                schemaURL: string(resource.schemaURL), serviceName: string(resource.serviceName)),
            scope: Scope(
                name: string(scope.name), version: string(scope.version), schemaURL: string(scope.schemaURL),
                attributes: attributeRecords(scope.attributes), droppedAttributes: scope.droppedAttributes),
            arrival: origin.arrival)
    }

    package func attributeRecords(_ range: Range<Int>) -> [Attribute] {
        attributes[range].map { Attribute(string(keys[$0.key]), value($0)) }
    }

    package func value(_ row: AttributeRow) -> AttributeValue {
        switch row.type {
        case .string: .string(string(row.slice))
        case .bool: .bool(row.payload != 0)
        case .int: .int(Int64(bitPattern: row.payload))
        case .double: .double(Double(bitPattern: row.payload))
        case .bytes: .bytes(Array(bytes(row.slice)))
        case .array: NestedValue.decode(.array, content: Array(bytes(row.slice))) ?? .empty
        case .map: NestedValue.decode(.map, content: Array(bytes(row.slice))) ?? .empty
        case .empty, nil: .empty
        }
    }

    private func eventRecord(_ row: EventRow) -> SpanEvent {
        SpanEvent(
            time: row.time, name: string(row.name), attributes: attributeRecords(row.attributes),
            droppedAttributes: row.droppedAttributes)
    }

    private func linkRecord(_ row: LinkRow) -> SpanLink {
        SpanLink(
            traceID: TraceID(high: row.traceHigh, low: row.traceLow), spanID: SpanID(row.spanID),
            traceState: string(row.traceState), flags: row.flags, attributes: attributeRecords(row.attributes),
            droppedAttributes: row.droppedAttributes)
    }
}

extension SpanBatchBuilder {
    /// Appends attributes of one owner and returns their range as (first, count).
    package mutating func append(_ list: [Attribute]) -> (first: UInt32, count: UInt32) {
        let first = attributes.count
        for attribute in list { append(attribute) }
        return (UInt32(truncatingIfNeeded: first), UInt32(truncatingIfNeeded: list.count))
    }

    private mutating func append(_ attribute: Attribute) {
        let key = key(attribute.key)
        switch attribute.value {
        case .empty: attributes.append(AttributeRow(key: key, type: .empty, payload: 0))
        case .string(let text): attributes.append(AttributeRow(key: key, type: .string, slice: append(text)))
        case .bool(let flag): attributes.append(AttributeRow(key: key, type: .bool, payload: flag ? 1 : 0))
        case .int(let number):
            attributes.append(AttributeRow(key: key, type: .int, payload: UInt64(bitPattern: number)))
        case .double(let number): attributes.append(AttributeRow(key: key, type: .double, payload: number.bitPattern))
        case .bytes(let bytes): attributes.append(AttributeRow(key: key, type: .bytes, slice: append(bytes)))
        case .array(let elements):
            let slice = append(NestedValue.encode(array: elements))
            attributes.append(AttributeRow(key: key, type: .array, slice: slice))
        case .map(let entries):
            attributes.append(AttributeRow(key: key, type: .map, slice: append(NestedValue.encode(map: entries))))
        }
    }

    /// Appends a resource and returns its index.
    package mutating func append(_ resource: Resource) -> Int {
        var row = ResourceRow()
        (row.firstAttribute, row.attributeCount) = append(resource.attributes)
        row.droppedAttributes = resource.droppedAttributes
        row.schemaURL = append(resource.schemaURL)
        row.serviceName = append(resource.serviceName)
        resources.append(row)
        return resources.count - 1
    }

    /// Appends a scope of the resource at `resource` and returns its index.
    package mutating func append(_ scope: Scope, resource: Int) -> Int {
        var row = ScopeRow()
        row.resource = UInt32(truncatingIfNeeded: resource)
        (row.firstAttribute, row.attributeCount) = append(scope.attributes)
        row.droppedAttributes = scope.droppedAttributes
        row.name = append(scope.name)
        row.version = append(scope.version)
        row.schemaURL = append(scope.schemaURL)
        scopes.append(row)
        return scopes.count - 1
    }

    /// Appends a span under the scope at `scope`; the record's own resource and scope are not looked at.
    package mutating func append(_ span: SpanRecord, scope: Int) {
        var row = SpanRow()
        row.traceHigh = span.traceID.high
        row.traceLow = span.traceID.low
        row.spanID = span.spanID.value
        row.parentID = span.parentID?.value ?? 0
        row.start = span.start
        row.end = span.end
        row.name = append(span.name)
        row.traceState = append(span.traceState)
        row.statusMessage = append(span.statusMessage)
        row.scope = UInt32(truncatingIfNeeded: scope)
        (row.firstAttribute, row.attributeCount) = append(span.attributes)
        row.firstEvent = UInt32(truncatingIfNeeded: events.count)
        row.eventCount = UInt32(truncatingIfNeeded: span.events.count)
        for event in span.events {
            var eventRow = EventRow()
            eventRow.time = event.time
            eventRow.name = append(event.name)
            (eventRow.firstAttribute, eventRow.attributeCount) = append(event.attributes)
            eventRow.droppedAttributes = event.droppedAttributes
            events.append(eventRow)
        }
        row.firstLink = UInt32(truncatingIfNeeded: links.count)
        row.linkCount = UInt32(truncatingIfNeeded: span.links.count)
        for link in span.links {
            var linkRow = LinkRow()
            linkRow.traceHigh = link.traceID.high
            linkRow.traceLow = link.traceID.low
            linkRow.spanID = link.spanID.value
            linkRow.traceState = append(link.traceState)
            linkRow.flags = link.flags
            (linkRow.firstAttribute, linkRow.attributeCount) = append(link.attributes)
            linkRow.droppedAttributes = link.droppedAttributes
            links.append(linkRow)
        }
        row.droppedAttributes = span.droppedAttributes
        row.droppedEvents = span.droppedEvents
        row.droppedLinks = span.droppedLinks
        row.flags = span.flags
        row.kind = span.kind
        row.status = span.status
        row.marks = span.marks
        row.weight = span.weight
        spans.append(row)
    }
}

extension SpanBatch {
    /// A batch of records, one resource and scope row per distinct pair. For the slow decoders and tests.
    package convenience init(origin: BatchOrigin, records: [SpanRecord]) {
        var builder = SpanBatchBuilder()
        var resources: [Resource: Int] = [:]
        var scopes: [Int: [Scope: Int]] = [:]
        for record in records {
            let resource = resources[record.resource] ?? builder.append(record.resource)
            resources[record.resource] = resource
            let scope = scopes[resource]?[record.scope] ?? builder.append(record.scope, resource: resource)
            scopes[resource, default: [:]][record.scope] = scope
            builder.append(record, scope: scope)
        }
        self.init(
            origin: origin, spans: builder.spans, attributes: builder.attributes, events: builder.events,
            links: builder.links, scopes: builder.scopes, resources: builder.resources, keys: builder.keys,
            arena: builder.arena)
    }
}
