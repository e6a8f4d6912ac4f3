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
    try decodeOTLPTraces(body, origin: origin, keeping: nil)
}

/// The same of some spans only, numbered as they come; others are passed over as if they were not there.
package func decodeOTLPTraces(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin, keeping selection: SpanSelection?
) throws(WireError) -> DecodedSpans {
    var decoder = OTLPProtobufDecoder(bodyBytes: body.count, selection: selection)
    if var cursor = ProtobufCursor(body) { try decoder.decodeRequest(&cursor) }
    return decoder.spans.finish(origin)
}

/// The levels above a span: request, resource and scope.
struct OTLPProtobufDecoder: ~Copyable {
    var spans: SpanAssembler
    private let selection: SpanSelection?
    /// Spans met so far, for the selection.
    private var spanIndex = 0

    init(bodyBytes: Int, selection: SpanSelection? = nil) {
        spans = SpanAssembler(bodyBytes: bodyBytes)
        self.selection = selection
    }

    private mutating func isNextSelected(_ selection: SpanSelection) -> Bool {
        spanIndex += 1
        return selection.contains(spanIndex - 1)
    }

    mutating func decodeRequest(_ cursor: inout ProtobufCursor) throws(WireError) {
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(1) else {
                try cursor.skip(tag, known: 1 << 1)
                continue
            }
            let message = try cursor.readMessage()
            spans.place.resource = index
            do { try decodeResourceSpans(message) } catch { throw error.within("resourceSpans[\(index)]") }
            index += 1
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
            case bytesTag(3): resource.schemaURL = try spans.string(try cursor.readBytes(), at: cursor.offset)
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        spans.beginResource(resource)
        cursor = message
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(2) else {
                try cursor.pass(tag)
                continue
            }
            let inner = try cursor.readMessage()
            spans.place.scope = index
            do { try decodeScopeSpans(inner) } catch { throw error.within("scopeSpans[\(index)]") }
            index += 1
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
            case bytesTag(3): scope.schemaURL = try spans.string(try cursor.readBytes(), at: cursor.offset)
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        spans.beginScope(scope)
        cursor = message
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(2) else {
                try cursor.pass(tag)
                continue
            }
            let inner = try cursor.readMessage()
            spans.place.span = index
            if let selection, !isNextSelected(selection) {
                index += 1
                continue
            }
            do { try decodeSpan(inner) } catch { throw error.within("spans[\(index)]") }
            index += 1
        }
    }

    private mutating func decodeScope(_ message: ProtobufCursor, into scope: inout ScopeRow) throws(WireError) {
        var cursor = message
        do throws(WireError) {
            while !cursor.isAtEnd {
                let tag = try cursor.readTag()
                switch tag {
                case bytesTag(1): scope.name = try spans.string(try cursor.readBytes(), at: cursor.offset)
                case bytesTag(2): scope.version = try spans.string(try cursor.readBytes(), at: cursor.offset)
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
