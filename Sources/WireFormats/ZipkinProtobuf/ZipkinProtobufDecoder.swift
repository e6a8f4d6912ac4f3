package import Telemetry

/// Decodes a `zipkin.proto3.ListOfSpans`.
///
/// A span with a defect costs only itself: its length is known, so the next one is found whatever it holds. Unknown
/// fields are skipped. An empty body is an empty list.
/// - Throws: for bytes that are not a list of messages.
/// - Source: schemas/wire/zipkin-protobuf.md.
package func decodeZipkinProtobuf(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    var spans = ZipkinSpanList()
    guard var cursor = ProtobufCursor(body) else { return spans.finish(origin) }
    var index = 0
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        guard tag == bytesTag(1) else {
            try cursor.skip(tag, known: 1 << 1)
            continue
        }
        let message = try cursor.readMessage()
        var span = ZipkinSpanDraft(arrival: origin.arrival)
        do throws(WireError) {
            try decodeSpan(message, into: &span)
            spans.add(span, bytes: message.end - message.offset, at: index)
        } catch { spans.reject(.malformed, message: error.within("[\(index)]").description) }
        index += 1
    }
    return spans.finish(origin)
}

private func decodeSpan(_ message: ProtobufCursor, into span: inout ZipkinSpanDraft) throws(WireError) {
    var cursor = message
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1):
            let bytes = try cursor.readBytes()
            span.traceID = identifier(bytes, lengths: [8, 16], &span.idDefect)
        case bytesTag(2):
            let bytes = try cursor.readBytes()
            span.parentID = bytes.isEmpty ? nil : identifier(bytes, lengths: [8], &span.idDefect).map { SpanID($0.low) }
        case bytesTag(3):
            let bytes = try cursor.readBytes()
            span.spanID = identifier(bytes, lengths: [8], &span.idDefect).map { SpanID($0.low) }
        case varintTag(4): span.kind = kind(try cursor.readVarint())
        case bytesTag(5): span.name = try text(&cursor, Limits.nameBytes, &span.marks)
        case fixed64Tag(6): span.timestamp = microseconds(try cursor.readFixed64())
        case varintTag(7): span.duration = microseconds(try cursor.readVarint())
        case bytesTag(8):
            let endpoint = try decodeEndpoint(try cursor.readMessage(), &span.marks)
            span.service = endpoint.serviceName
            span.localEndpoint = endpoint.attributes(.local)
        case bytesTag(9):
            span.remoteEndpoint = try decodeEndpoint(try cursor.readMessage(), &span.marks).attributes(.remote)
        case bytesTag(10): try decodeAnnotation(try cursor.readMessage(), into: &span)
        case bytesTag(11): try decodeTag(try cursor.readMessage(), into: &span)
        case varintTag(12): if try cursor.readVarint() != 0 { span.marks.insert(.debug) }
        case varintTag(13): if try cursor.readVarint() != 0 { span.marks.insert(.shared) }
        default: try cursor.skip(tag, known: 0x3ffe)
        }
    }
}

/// A big-endian id of one of the lengths; a short one is the low half.
private func identifier(
    _ bytes: UnsafeRawBufferPointer, lengths: [Int], _ defect: inout SpanRejection?
) -> TraceID? {
    guard lengths.contains(bytes.count) else {
        defect = defect ?? .badIDLength
        return nil
    }
    guard bytes.count == 16 else { return TraceID(high: 0, low: spanID(bytes)) }
    let (high, low) = traceID(bytes)
    return TraceID(high: high, low: low)
}

/// A number that stands for no kind is none, as for every protobuf enum that grows.
private func kind(_ number: UInt64) -> SpanKind {
    switch number {
    case 1: .client
    case 2: .server
    case 3: .producer
    case 4: .consumer
    default: .unspecified
    }
}

/// Zero for what is negative when read as signed, which is how writers in Java hold it.
private func microseconds(_ number: UInt64) -> UInt64 { number >> 63 == 0 ? number : 0 }

private func text(
    _ cursor: inout ProtobufCursor, _ limit: Int, _ marks: inout SpanMarks
) throws(WireError) -> String {
    let bytes = try cursor.readBytes()
    return zipkinText(bytes, limit: limit, marks: &marks)
}

private func decodeEndpoint(
    _ message: ProtobufCursor, _ marks: inout SpanMarks
) throws(WireError) -> ZipkinEndpoint {
    var cursor = message
    var endpoint = ZipkinEndpoint()
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1): endpoint.serviceName = try text(&cursor, Limits.nameBytes, &marks)
        case bytesTag(2), bytesTag(3): endpoint.setAddress(try cursor.readBytes())
        case varintTag(4): endpoint.port = UInt16(exactly: try cursor.readVarint()) ?? 0
        default: try cursor.skip(tag, known: 0b11110)
        }
    }
    return endpoint
}

private func decodeAnnotation(_ message: ProtobufCursor, into span: inout ZipkinSpanDraft) throws(WireError) {
    var cursor = message
    var (time, value): (UInt64, String?) = (0, nil)
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case fixed64Tag(1): time = microseconds(try cursor.readFixed64())
        case bytesTag(2): value = try text(&cursor, Limits.nameBytes, &span.marks)
        default: try cursor.skip(tag, known: 0b110)
        }
    }
    span.addAnnotation(time, value)
}

private func decodeTag(_ message: ProtobufCursor, into span: inout ZipkinSpanDraft) throws(WireError) {
    var cursor = message
    var (key, value) = ("", "")
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1): key = try text(&cursor, Limits.nameBytes, &span.marks)
        case bytesTag(2): value = try text(&cursor, Limits.attributeValueBytes, &span.marks)
        default: try cursor.skip(tag, known: 0b110)
        }
    }
    span.addTag(key, .string(value))
}
