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
    /// The resource begun last, and the scope begun last under it, as long as a repetition of their bytes says the same.
    private var lastResource: ProtobufCursor?
    private var lastScope: ProtobufCursor?

    init(bodyBytes: Int, selection: SpanSelection? = nil) {
        spans = SpanAssembler(bodyBytes: bodyBytes)
        self.selection = selection
    }

    private mutating func isNextSelected(_ selection: SpanSelection) -> Bool {
        spanIndex += 1
        return selection.contains(spanIndex - 1)
    }

    mutating func decodeRequest(_ cursor: inout ProtobufCursor) throws(WireError) {
        try cursor.forEachMessage(1, "resourceSpans", isChecked: false) { (index, message) throws(WireError) in
            spans.place.resource = index
            try decodeResourceSpans(message)
        }
    }

    private mutating func decodeResourceSpans(_ message: ProtobufCursor) throws(WireError) {
        if try !message.isContainer(of: lastResource) {
            lastResource = try beginResource(message)
            lastScope = nil
        }
        var cursor = message
        try cursor.forEachMessage(2, "scopeSpans", isChecked: true) { (index, message) throws(WireError) in
            spans.place.scope = index
            try decodeScopeSpans(message)
        }
    }

    /// - Returns: the resource's bytes when they are all there is to say of it.
    private mutating func beginResource(_ message: ProtobufCursor) throws(WireError) -> ProtobufCursor? {
        var cursor = message
        var description = ContainerDescription()
        var resource = ResourceRow()
        resource.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let inner = try cursor.readMessage()
                description.note(inner)
                try decodeResource(inner, into: &resource)
            case bytesTag(2):
                _ = try cursor.readBytes()
                description.noteContent()
            case bytesTag(3):
                resource.schemaURL = spans.string(try cursor.readBytes())
                description.isPlain = false
            default:
                try cursor.skip(tag, known: 0b1110)
                description.isPlain = false
            }
        }
        spans.beginResource(resource)
        return description.whole
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
        if try !message.isContainer(of: lastScope) { lastScope = try beginScope(message) }
        var cursor = message
        try cursor.forEachMessage(2, "spans", isChecked: true) { (index, message) throws(WireError) in
            spans.place.span = index
            if let selection, !isNextSelected(selection) { return }
            try decodeSpan(message)
        }
    }

    /// - Returns: the scope's bytes when they are all there is to say of it.
    private mutating func beginScope(_ message: ProtobufCursor) throws(WireError) -> ProtobufCursor? {
        var cursor = message
        var description = ContainerDescription()
        var scope = ScopeRow()
        scope.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let inner = try cursor.readMessage()
                description.note(inner)
                try decodeScope(inner, into: &scope)
            case bytesTag(2):
                _ = try cursor.readBytes()
                description.noteContent()
            case bytesTag(3):
                scope.schemaURL = spans.string(try cursor.readBytes())
                description.isPlain = false
            default:
                try cursor.skip(tag, known: 0b1110)
                description.isPlain = false
            }
        }
        spans.beginScope(scope)
        return description.whole
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

/// What a `ResourceSpans` or `ScopeSpans` says besides what it contains. Exporters that send small messages repeat it in
/// each, and say it in one field before the others.
private struct ContainerDescription {
    private var bytes: ProtobufCursor?
    private var hasContent = false
    var isPlain = true

    mutating func note(_ field: ProtobufCursor) {
        if bytes != nil || hasContent { isPlain = false }
        bytes = field
    }

    mutating func noteContent() { hasContent = true }

    /// Nil when the field alone does not say it.
    var whole: ProtobufCursor? { isPlain ? bytes : nil }
}

extension ProtobufCursor {
    /// Whether a container says of itself what `description` says, byte for byte, and nothing more.
    fileprivate func isContainer(of description: ProtobufCursor?) throws(WireError) -> Bool {
        guard let description else { return false }
        var cursor = self
        guard !cursor.isAtEnd, try cursor.readTag() == bytesTag(1) else { return false }
        guard try cursor.readMessage().hasSameBytes(as: description) else { return false }
        while !cursor.isAtEnd {
            guard try cursor.readTag() == bytesTag(2) else { return false }
            _ = try cursor.readBytes()
        }
        return true
    }
}
