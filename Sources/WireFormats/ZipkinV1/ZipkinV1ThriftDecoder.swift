package import Telemetry

/// Decodes a thrift list of Zipkin v1 spans in the binary protocol.
///
/// A span that both sides of a call have annotated becomes two. A span whose content is bad costs only itself; fields
/// that are not known or have another type are skipped. An empty body is an empty list.
/// - Throws: for bytes that are not a list of structs.
/// - Source: schemas/wire/zipkin-v1.md, "Thrift".
package func decodeZipkinV1Thrift(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    var spans = ZipkinSpanList()
    guard body.count > 0 else { return spans.finish(origin) }
    var cursor = ThriftBinaryCursor(body)
    try decodeZipkinV1(&cursor, into: &spans, origin)
    return spans.finish(origin)
}

/// Reads a list of spans in either protocol.
func decodeZipkinV1(
    _ cursor: inout some ThriftCursor, into spans: inout ZipkinSpanList, _ origin: BatchOrigin
) throws(WireError) {
    let start = cursor.offset
    let list = try cursor.readList()
    guard list.element == .structure || list.count == 0 else { throw WireError(.thriftList, at: start) }
    for index in 0..<list.count {
        let first = cursor
        var span = ZipkinV1Span(arrival: origin.arrival)
        do throws(WireError) {
            try decodeSpan(&cursor, into: &span)
            spans.add(span, bytes: cursor.offset - first.offset, at: index)
        } catch {
            // Throws again when the structs themselves are broken; else only this span is bad.
            cursor = first
            do throws(WireError) { try cursor.skip(.structure) } catch { throw error.within("[\(index)]") }
            spans.reject(.malformed, message: error.within("[\(index)]").description)
        }
    }
}

private func decodeSpan(
    _ cursor: inout some ThriftCursor, into span: inout ZipkinV1Span
) throws(WireError) {
    var (high, low): (UInt64, UInt64) = (0, 0)
    var last: Int16 = 0
    while let field = try cursor.readField(after: &last) {
        switch (field.id, field.type) {
        case (1, .int64): low = UInt64(bitPattern: try cursor.readInt64())
        case (3, .binary): span.shared.name = try text(&cursor, Limits.nameBytes, &span.shared.marks)
        case (4, .int64): span.shared.spanID = SpanID(UInt64(bitPattern: try cursor.readInt64()))
        case (5, .int64): span.shared.parentID = SpanID(UInt64(bitPattern: try cursor.readInt64()))
        case (6, .list): try decodeAnnotations(&cursor, into: &span)
        case (8, .list): try decodeTags(&cursor, into: &span)
        case (9, .bool): if try cursor.readBool(field) { span.shared.marks.insert(.debug) }
        case (10, .int64): span.timestamp = microseconds(try cursor.readInt64())
        case (11, .int64): span.duration = microseconds(try cursor.readInt64())
        case (12, .int64): high = UInt64(bitPattern: try cursor.readInt64())
        default: try cursor.skip(field)
        }
    }
    span.shared.traceID = TraceID(high: high, low: low)
    if span.shared.spanID == nil { span.shared.spanID = SpanID(0) }
}

/// Zero for what is negative.
private func microseconds(_ number: Int64) -> UInt64 { UInt64(max(0, number)) }

private func text(
    _ cursor: inout some ThriftCursor, _ limit: Int, _ marks: inout SpanMarks
) throws(WireError) -> String {
    let bytes = try cursor.readBytes()
    return zipkinText(bytes, limit: limit, marks: &marks)
}

private func decodeEndpoint(
    _ cursor: inout some ThriftCursor, _ marks: inout SpanMarks
) throws(WireError) -> ZipkinEndpoint? {
    var endpoint = ZipkinEndpoint()
    var last: Int16 = 0
    while let field = try cursor.readField(after: &last) {
        switch (field.id, field.type) {
        case (1, .int32):
            let address = UInt32(bitPattern: try cursor.readInt32())
            // Zero is how writers say that they know none.
            if address != 0 { endpoint.ipv4 = ZipkinEndpoint.text(version4: address) }
        case (2, .int16): endpoint.port = UInt16(bitPattern: try cursor.readInt16())
        case (3, .binary): endpoint.serviceName = try text(&cursor, Limits.nameBytes, &marks)
        case (4, .binary): endpoint.setAddress(try cursor.readBytes())
        default: try cursor.skip(field)
        }
    }
    return endpoint.isEmpty ? nil : endpoint
}

/// Calls `body` at the start of every struct of the list that is the next value.
private func forEachStruct<Cursor: ThriftCursor>(
    _ cursor: inout Cursor, _ body: (inout Cursor) throws(WireError) -> Void
) throws(WireError) {
    let start = cursor.offset
    let list = try cursor.readList()
    guard list.element == .structure || list.count == 0 else { throw WireError(.thriftList, at: start) }
    for _ in 0..<list.count { try body(&cursor) }
}

private func decodeAnnotations<Cursor: ThriftCursor>(
    _ cursor: inout Cursor, into span: inout ZipkinV1Span
) throws(WireError) {
    try forEachStruct(&cursor) { (cursor: inout Cursor) throws(WireError) in
        var time: UInt64 = 0
        var (value, host): (String?, ZipkinEndpoint?) = (nil, nil)
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .int64): time = microseconds(try cursor.readInt64())
            case (2, .binary): value = try text(&cursor, Limits.nameBytes, &span.shared.marks)
            case (3, .structure): host = try decodeEndpoint(&cursor, &span.shared.marks)
            default: try cursor.skip(field)
            }
        }
        span.addAnnotation(time, value, host)
    }
}

private func decodeTags<Cursor: ThriftCursor>(
    _ cursor: inout Cursor, into span: inout ZipkinV1Span
) throws(WireError) {
    try forEachStruct(&cursor) { (cursor: inout Cursor) throws(WireError) in
        var key = ""
        var value = UnsafeRawBufferPointer(start: nil, count: 0)
        var type: Int32 = 6
        var host: ZipkinEndpoint?
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .binary): key = try text(&cursor, Limits.nameBytes, &span.shared.marks)
            case (2, .binary): value = try cursor.readBytes()
            case (3, .int32): type = try cursor.readInt32()
            case (4, .structure): host = try decodeEndpoint(&cursor, &span.shared.marks)
            default: try cursor.skip(field)
            }
        }
        span.addTag(key, tagValue(value, type, &span.shared.marks), host)
    }
}

/// Strings and bytes as they are; a bool or number by its text, as tags of version 2 have it. Nil for a number whose
/// length is not that of its type.
private func tagValue(
    _ bytes: UnsafeRawBufferPointer, _ type: Int32, _ marks: inout SpanMarks
) -> AttributeValue? {
    switch (type, bytes.count) {
    case (0, 1): return .string(bytes[0] == 0 ? "false" : "true")
    case (1, _):
        if bytes.count > Limits.attributeValueBytes { marks.insert(.truncated) }
        return .bytes(Array(bytes.prefix(Limits.attributeValueBytes)))
    case (2, 2): return .string(String(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self))))
    case (3, 4): return .string(String(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self))))
    case (4, 8): return .string(String(Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))))
    case (5, 8):
        let bits = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        return .string(String(Double(bitPattern: bits)))
    case (0, _), (2, _), (3, _), (4, _), (5, _): return nil
    default: return .string(zipkinText(bytes, limit: Limits.attributeValueBytes, marks: &marks))
    }
}
