internal import Bytes
internal import Telemetry

/// The fields of one span.
extension ZipkinJSONDecoder {
    mutating func decodeSpan(into span: inout ZipkinSpanDraft) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            do throws(WireError) {
                try decodeField(key, into: &span)
            } catch { throw error.within(key.text) }
        }
    }

    private mutating func decodeField(_ key: JSONString, into span: inout ZipkinSpanDraft) throws(WireError) {
        switch key {
        case "traceId": span.traceID = identifier(try json.readString(), digits: 32, &span.idDefect)
        case "id":
            span.spanID = identifier(try json.readString(), digits: 16, &span.idDefect).map { SpanID($0.low) }
        case "parentId":
            span.parentID = identifier(try json.readString(), digits: 16, &span.idDefect).map { SpanID($0.low) }
        case "kind":
            span.kind = try kind()
            span.hasVersion2Field = true
        case "name": span.name = try text(&span.marks, Limits.nameBytes)
        case "timestamp": span.timestamp = try microseconds()
        case "duration": span.duration = try microseconds()
        case "localEndpoint":
            let endpoint = try endpoint(&span.marks)
            span.service = endpoint.serviceName
            span.localEndpoint = endpoint.attributes(.local)
            span.hasVersion2Field = true
        case "remoteEndpoint":
            span.remoteEndpoint = try endpoint(&span.marks).attributes(.remote)
            span.hasVersion2Field = true
        case "annotations": try decodeAnnotations(into: &span)
        case "tags":
            try decodeTags(into: &span)
            span.hasVersion2Field = true
        case "debug": if try json.readBool() { span.marks.insert(.debug) }
        case "shared": if try json.readBool() { span.marks.insert(.shared) }
        case "binaryAnnotations":
            try json.skipValue()
            span.hasVersion1Field = true
        default: try json.skipValue()
        }
    }

    /// 1 to `limit` digits, as if padded with zeros on the left.
    func identifier(_ string: JSONString, digits limit: Int, _ defect: inout SpanRejection?) -> TraceID? {
        string.withPlain { digits in
            if let id = TraceID(hex: digits), digits.count <= limit { return id }
            let isHex = digits.allSatisfy { hexValue($0) != nil }
            defect = defect ?? (isHex ? .badIDLength : .malformed)
            return nil
        }
    }

    private mutating func kind() throws(WireError) -> SpanKind {
        let string = try json.readString()
        switch string.text.uppercased() {
        case "CLIENT": return .client
        case "SERVER": return .server
        case "PRODUCER": return .producer
        case "CONSUMER": return .consumer
        default: throw WireError(.zipkinKind, at: string.offset)
        }
    }

    /// Zero for what is negative.
    mutating func microseconds() throws(WireError) -> UInt64 { UInt64(max(0, try json.readInt64())) }

    mutating func text(_ marks: inout SpanMarks, _ limit: Int) throws(WireError) -> String {
        text(try json.readString(), &marks, limit)
    }

    func text(_ string: JSONString, _ marks: inout SpanMarks, _ limit: Int) -> String {
        string.withPlain { plain in
            if plain.count > limit { marks.insert(.truncated) }
            return String(decoding: utf8Prefix(plain, limit), as: UTF8.self)
        }
    }

    mutating func endpoint(_ marks: inout SpanMarks) throws(WireError) -> ZipkinEndpoint {
        var endpoint = ZipkinEndpoint()
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "serviceName": endpoint.serviceName = try text(&marks, Limits.nameBytes)
            case "ipv4", "ipv6": endpoint.setAddress(try json.readString().text)
            case "port": endpoint.port = UInt16(exactly: try json.readInt64()) ?? 0
            default: try json.skipValue()
            }
        }
        return endpoint
    }

    private mutating func decodeAnnotations(into span: inout ZipkinSpanDraft) throws(WireError) {
        try json.beginArray()
        while try json.nextElement() {
            if try json.readNull() { continue }
            var time: UInt64 = 0
            var value: String?
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.readNull() { continue }
                switch key {
                case "timestamp": time = try microseconds()
                case "value": value = try text(&span.marks, Limits.nameBytes)
                case "endpoint":
                    try json.skipValue()
                    span.hasVersion1Field = true
                default: try json.skipValue()
                }
            }
            span.addAnnotation(time, value)
        }
    }

    private mutating func decodeTags(into span: inout ZipkinSpanDraft) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            let value = try tagValue(&span.marks)
            span.addTag(text(key, &span.marks, Limits.nameBytes), .string(value))
        }
    }

    /// Tags are strings; numbers and booleans are taken by their text, as Zipkin's own reader does.
    mutating func tagValue(_ marks: inout SpanMarks) throws(WireError) -> String {
        switch try json.peek() {
        case UInt8(ascii: "\""): return try text(&marks, Limits.attributeValueBytes)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return try json.readBool() ? "true" : "false"
        case UInt8(ascii: "{"), UInt8(ascii: "["): throw WireError(.string, at: json.offset)
        default: return try json.readNumber().text
        }
    }
}
