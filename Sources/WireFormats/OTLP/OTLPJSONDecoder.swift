package import Telemetry

/// Decodes an OTLP `ExportTraceServiceRequest` in JSON form, to the same result as its protobuf form.
///
/// Ids are hexadecimal in either case, keys lowerCamelCase only, enums integers, 64-bit integers numbers or strings,
/// bytes base64. Unknown fields are skipped, nulls are defaults. Texts are read where they lie; no tree is built.
/// - Throws: for text that is not JSON or has a value of the wrong type; nothing of the body is kept then.
/// - Source: schemas/wire/otlp.md, "JSON".
package func decodeOTLPTracesJSON(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    var decoder = OTLPJSONDecoder(body)
    try decoder.decodeRequest()
    return decoder.spans.finish(origin)
}

/// The levels above a span. An array is one JSON value, so the rows of one owner are neighbours by themselves; only
/// a resource or scope that stands behind its spans makes the decoder come back to them.
struct OTLPJSONDecoder: ~Copyable {
    var json: JSONReader
    var spans: SpanAssembler

    init(_ body: UnsafeRawBufferPointer) {
        json = JSONReader(body)
        spans = SpanAssembler(bodyBytes: body.count / 3)
    }

    mutating func decodeRequest() throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            guard key.equals("resourceSpans") else {
                try json.skipValue()
                continue
            }
            try json.beginArray()
            var index = 0
            while try json.nextElement() {
                spans.place.resource = index
                do { try decodeResourceSpans() } catch { throw error.within("resourceSpans[\(index)]") }
                index += 1
            }
        }
        try json.finish()
    }

    private mutating func decodeResourceSpans() throws(WireError) {
        var hasResource = false
        var postponed: JSONReader?
        spans.beginResource(ResourceRow())
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "resource":
                try decodeResource()
                hasResource = true
            case "scopeSpans":
                if hasResource {
                    try decodeScopeSpansList()
                } else {
                    postponed = json
                    try json.skipValue()
                }
            case "schemaUrl": spans.setResourceSchemaURL(try containerString())
            default: try json.skipValue()
            }
        }
        guard let postponed else { return }
        let end = json
        json = postponed
        try decodeScopeSpansList()
        json = end
    }

    private mutating func decodeResource() throws(WireError) {
        var row = ResourceRow()
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "attributes":
                var marks = SpanMarks()
                let list = try attributes(marks: &marks)
                (row.firstAttribute, row.attributeCount) = (list.first, list.count)
                row.droppedAttributes &+= list.dropped
            case "droppedAttributesCount": row.droppedAttributes &+= try count()
            default: try json.skipValue()
            }
        }
        spans.setResource(row)
    }

    private mutating func decodeScopeSpansList() throws(WireError) {
        try json.beginArray()
        var index = 0
        while try json.nextElement() {
            spans.place.scope = index
            do { try decodeScopeSpans() } catch { throw error.within("scopeSpans[\(index)]") }
            index += 1
        }
    }

    private mutating func decodeScopeSpans() throws(WireError) {
        var hasScope = false
        var postponed: JSONReader?
        spans.beginScope(ScopeRow())
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "scope":
                try decodeScope()
                hasScope = true
            case "spans":
                if hasScope {
                    try decodeSpanList()
                } else {
                    postponed = json
                    try json.skipValue()
                }
            case "schemaUrl": spans.setScopeSchemaURL(try containerString())
            default: try json.skipValue()
            }
        }
        guard let postponed else { return }
        let end = json
        json = postponed
        try decodeSpanList()
        json = end
    }

    private mutating func decodeScope() throws(WireError) {
        var row = ScopeRow()
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "name": row.name = try containerString()
            case "version": row.version = try containerString()
            case "attributes":
                var marks = SpanMarks()
                let list = try attributes(marks: &marks)
                (row.firstAttribute, row.attributeCount) = (list.first, list.count)
                row.droppedAttributes &+= list.dropped
            case "droppedAttributesCount": row.droppedAttributes &+= try count()
            default: try json.skipValue()
            }
        }
        spans.setScope(row)
    }

    private mutating func decodeSpanList() throws(WireError) {
        try json.beginArray()
        var index = 0
        while try json.nextElement() {
            spans.place.span = index
            do { try decodeSpan() } catch { throw error.within("spans[\(index)]") }
            index += 1
        }
    }

    /// A string of a resource or a scope, whose cuts no mark shows.
    private mutating func containerString() throws(WireError) -> ByteSlice {
        var marks = SpanMarks()
        return spans.text(try json.readString(), limit: Limits.nameBytes, marks: &marks)
    }

    /// A 32-bit count; larger ones wrap as they do in protobuf.
    mutating func count() throws(WireError) -> UInt32 { UInt32(truncatingIfNeeded: try json.readUInt64()) }
}
