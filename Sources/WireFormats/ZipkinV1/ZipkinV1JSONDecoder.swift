package import Telemetry

/// Decodes a Zipkin v1 JSON list of spans.
///
/// A span that both sides of a call have annotated becomes two. A span with a defect costs only itself; unknown fields
/// are skipped and nulls are as good as nothing. An empty body is an empty list.
/// - Throws: for text that is not JSON, that is not a list, or that is the list of Zipkin's version 2.
/// - Source: schemas/wire/zipkin-v1.md, "JSON".
package func decodeZipkinV1JSON(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    try decodeZipkinList(body, origin, .one)
}

/// The fields of one span.
extension ZipkinJSONDecoder {
    mutating func decodeVersion1Span(into span: inout ZipkinV1Span) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            do throws(WireError) {
                try decodeVersion1Field(key, into: &span)
            } catch { throw error.within(key.text) }
        }
    }

    private mutating func decodeVersion1Field(
        _ key: JSONString, into span: inout ZipkinV1Span
    ) throws(WireError) {
        switch key {
        case "traceId": span.shared.traceID = identifier(try json.readString(), digits: 32, &span.shared.idDefect)
        case "id": span.shared.spanID = try spanID(&span.shared.idDefect)
        case "parentId": span.shared.parentID = try spanID(&span.shared.idDefect)
        case "name": span.shared.name = try text(&span.shared.marks, Limits.nameBytes)
        case "timestamp": span.timestamp = try microseconds()
        case "duration": span.duration = try microseconds()
        case "annotations": try decodeVersion1Annotations(into: &span)
        case "binaryAnnotations":
            try decodeBinaryAnnotations(into: &span)
            span.hasVersion1Field = true
        case "debug": if try json.readBool() { span.shared.marks.insert(.debug) }
        case "kind", "localEndpoint", "remoteEndpoint", "tags", "shared":
            try json.skipValue()
            span.hasVersion2Field = true
        default: try json.skipValue()
        }
    }

    private mutating func spanID(_ defect: inout SpanRejection?) throws(WireError) -> SpanID? {
        identifier(try json.readString(), digits: 16, &defect).map { SpanID($0.low) }
    }

    private mutating func decodeVersion1Annotations(into span: inout ZipkinV1Span) throws(WireError) {
        try json.beginArray()
        while try json.nextElement() {
            if try json.readNull() { continue }
            var time: UInt64 = 0
            var value: String?
            var host: ZipkinEndpoint?
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.readNull() { continue }
                switch key {
                case "timestamp": time = try microseconds()
                case "value": value = try text(&span.shared.marks, Limits.nameBytes)
                case "endpoint":
                    host = try endpoint(&span.shared.marks)
                    span.hasVersion1Field = true
                default: try json.skipValue()
                }
            }
            span.addAnnotation(time, value, host.flatMap { $0.isEmpty ? nil : $0 })
        }
    }

    /// The type of a value is that of its JSON; the field `type` adds nothing.
    private mutating func decodeBinaryAnnotations(into span: inout ZipkinV1Span) throws(WireError) {
        try json.beginArray()
        while try json.nextElement() {
            if try json.readNull() { continue }
            var (name, value): (String, String?) = ("", nil)
            var host: ZipkinEndpoint?
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.readNull() { continue }
                switch key {
                case "key": name = try text(&span.shared.marks, Limits.nameBytes)
                case "value": value = try tagValue(&span.shared.marks)
                case "endpoint": host = try endpoint(&span.shared.marks)
                default: try json.skipValue()
                }
            }
            span.addTag(name, value.map { .string($0) }, host.flatMap { $0.isEmpty ? nil : $0 })
        }
    }
}
