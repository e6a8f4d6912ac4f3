package import Telemetry

/// Decodes an OTLP `ExportTraceServiceRequest` in protobuf form.
///
/// One pass over the bytes of every span; containers are looked over once more, because a resource or a scope may
/// stand behind the spans it describes. Unknown fields are skipped. A span with bad ids or beyond
/// ``Limits/spanBytes`` costs only itself; what is beyond the other limits is cut, counted and marked.
/// - Throws: for bytes that are not this message, invalid UTF-8 among them; nothing of the body is kept then.
/// - Source: schemas/wire/otlp.md, "Protobuf"; opentelemetry-proto trace.proto.
package func decodeOTLPTraces(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    var decoder = OTLPProtobufDecoder(bodyBytes: body.count)
    if var cursor = ProtobufCursor(body) { try decoder.decodeRequest(&cursor) }
    return decoder.spans.finish(origin)
}

/// The levels above a span: request, resource and scope.
struct OTLPProtobufDecoder: ~Copyable {
    var spans: SpanAssembler

    init(bodyBytes: Int) { spans = SpanAssembler(bodyBytes: bodyBytes) }

    mutating func decodeRequest(_ cursor: inout ProtobufCursor) throws(WireError) {
        try cursor.forEachMessage(1, "resourceSpans", isChecked: false) { (index, message) throws(WireError) in
            spans.place.resource = index
            try decodeResourceSpans(message)
        }
    }

    private mutating func decodeResourceSpans(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var resource = ResourceRow()
        resource.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): try decodeResource(try cursor.readMessage(), into: &resource)
            case bytesTag(2): _ = try cursor.readBytes()
            case bytesTag(3): resource.schemaURL = spans.string(try cursor.readBytes())
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        spans.beginResource(resource)
        cursor = message
        try cursor.forEachMessage(2, "scopeSpans", isChecked: true) { (index, message) throws(WireError) in
            spans.place.scope = index
            try decodeScopeSpans(message)
        }
    }

    private mutating func decodeResource(
        _ message: ProtobufCursor, into resource: inout ResourceRow
    ) throws(WireError) {
        var cursor = message
        do throws(WireError) {
            while !cursor.isAtEnd {
                let tag = try cursor.readTag()
                switch tag {
                case bytesTag(1):
                    let kept = try decodeKeyValue(&cursor, count: resource.attributeCount)
                    if kept { resource.attributeCount += 1 } else { resource.droppedAttributes &+= 1 }
                case varintTag(2):
                    resource.droppedAttributes &+= UInt32(truncatingIfNeeded: try cursor.readVarint())
                default: try cursor.skip(tag, known: 0b110)
                }
            }
        } catch { throw error.within("resource") }
    }

    private mutating func decodeScopeSpans(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var scope = ScopeRow()
        scope.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): try decodeScope(try cursor.readMessage(), into: &scope)
            case bytesTag(2): _ = try cursor.readBytes()
            case bytesTag(3): scope.schemaURL = spans.string(try cursor.readBytes())
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        spans.beginScope(scope)
        cursor = message
        try cursor.forEachMessage(2, "spans", isChecked: true) { (index, message) throws(WireError) in
            spans.place.span = index
            try decodeSpan(message)
        }
    }

    private mutating func decodeScope(_ message: ProtobufCursor, into scope: inout ScopeRow) throws(WireError) {
        var cursor = message
        do throws(WireError) {
            while !cursor.isAtEnd {
                let tag = try cursor.readTag()
                switch tag {
                case bytesTag(1): scope.name = spans.string(try cursor.readBytes())
                case bytesTag(2): scope.version = spans.string(try cursor.readBytes())
                case bytesTag(3):
                    let kept = try decodeKeyValue(&cursor, count: scope.attributeCount)
                    if kept { scope.attributeCount += 1 } else { scope.droppedAttributes &+= 1 }
                case varintTag(4):
                    scope.droppedAttributes &+= UInt32(truncatingIfNeeded: try cursor.readVarint())
                default: try cursor.skip(tag, known: 0b11110)
                }
            }
        } catch { throw error.within("scope") }
    }
}
