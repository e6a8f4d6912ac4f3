extension SpanBatch {
    /// A batch of some of the spans, with nothing in it that they do not use.
    package func subset(_ selection: SpanSelection) -> SpanBatch {
        var copy = SubsetCopy(self)
        for index in spans.indices where selection.contains(index) { copy.add(spans[index]) }
        return copy.builder.finish(origin)
    }
}

/// Copies spans with what they refer to; text that several of them share is copied once.
private struct SubsetCopy: ~Copyable {
    private let source: SpanBatch
    var builder = SpanBatchBuilder()
    /// New index + 1 by old index; zero: not copied yet.
    private var keys: [UInt32]
    private var scopes: [UInt32]
    private var resources: [UInt32]
    /// New offset by old slice.
    private var texts: [ByteSlice: UInt32] = [:]

    init(_ source: SpanBatch) {
        self.source = source
        keys = Array(repeating: 0, count: source.keys.count)
        scopes = Array(repeating: 0, count: source.scopes.count)
        resources = Array(repeating: 0, count: source.resources.count)
    }

    mutating func add(_ span: SpanRow) {
        var row = span
        row.scope = scope(Int(span.scope))
        row.name = text(span.name)
        row.traceState = text(span.traceState)
        row.statusMessage = text(span.statusMessage)
        row.firstAttribute = attributes(span.attributes)
        // An event's attributes stand between those of the span and of the next event, as decoders have them.
        row.firstEvent = UInt32(truncatingIfNeeded: builder.events.count)
        for event in source.events[span.events] {
            var copy = event
            copy.name = text(event.name)
            copy.firstAttribute = attributes(event.attributes)
            builder.events.append(copy)
        }
        row.firstLink = UInt32(truncatingIfNeeded: builder.links.count)
        for link in source.links[span.links] {
            var copy = link
            copy.traceState = text(link.traceState)
            copy.firstAttribute = attributes(link.attributes)
            builder.links.append(copy)
        }
        builder.spans.append(row)
    }

    private mutating func scope(_ index: Int) -> UInt32 {
        if scopes[index] != 0 { return scopes[index] - 1 }
        var row = source.scopes[index]
        row.resource = resource(Int(row.resource))
        row.firstAttribute = attributes(row.firstAttribute, row.attributeCount)
        row.name = text(row.name)
        row.version = text(row.version)
        row.schemaURL = text(row.schemaURL)
        builder.scopes.append(row)
        scopes[index] = UInt32(truncatingIfNeeded: builder.scopes.count)
        return scopes[index] - 1
    }

    private mutating func resource(_ index: Int) -> UInt32 {
        if resources[index] != 0 { return resources[index] - 1 }
        var row = source.resources[index]
        row.firstAttribute = attributes(row.attributes)
        row.schemaURL = text(row.schemaURL)
        row.serviceName = text(row.serviceName)
        builder.resources.append(row)
        resources[index] = UInt32(truncatingIfNeeded: builder.resources.count)
        return resources[index] - 1
    }

    private mutating func attributes(_ first: UInt32, _ count: UInt32) -> UInt32 {
        attributes(Int(first)..<Int(first) + Int(count))
    }

    private mutating func attributes(_ range: Range<Int>) -> UInt32 {
        let first = UInt32(truncatingIfNeeded: builder.attributes.count)
        for row in source.attributes[range] {
            let key = key(row.key)
            let type = row.type ?? .empty
            let payload = type.isSlice ? UInt64(text(row.slice).offset) : row.payload
            builder.attributes.append(AttributeRow(key: key, type: type, payload: payload, count: row.count))
        }
        return first
    }

    private mutating func key(_ index: Int) -> Int {
        if keys[index] == 0 {
            let slice = source.keys[index]
            let new = source.arena.withUnsafeBytes { arena in
                let range = Int(slice.offset)..<Int(slice.offset) + Int(slice.count)
                return builder.key(UnsafeRawBufferPointer(rebasing: arena[range]))
            }
            keys[index] = UInt32(truncatingIfNeeded: new + 1)
        }
        return Int(keys[index]) - 1
    }

    private mutating func text(_ slice: ByteSlice) -> ByteSlice {
        guard slice.count > 0 else { return .empty }
        if let offset = texts[slice] { return ByteSlice(offset: offset, count: slice.count) }
        let offset = UInt32(truncatingIfNeeded: builder.arena.count)
        let start = Int(slice.offset)
        builder.arena.append(contentsOf: source.arena[start..<start + Int(slice.count)])
        texts[slice] = offset
        return ByteSlice(offset: offset, count: slice.count)
    }
}
