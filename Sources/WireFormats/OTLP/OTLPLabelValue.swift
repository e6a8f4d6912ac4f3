internal import Bytes
internal import Telemetry

/// `KeyValue` and `AnyValue` as a label: text as it is, numbers in decimal, bytes in base64, arrays and maps as JSON.
enum OTLPLabelValue {
    static func readText(_ cursor: inout ProtobufCursor) throws(WireError) -> String {
        let bytes = try cursor.readBytes()
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw WireError(.invalidUTF8, at: cursor.offset - bytes.count)
        }
        return text
    }

    static func readPair(_ message: ProtobufCursor) throws(WireError) -> MetricLabel {
        var text: [UInt8] = []
        let key = try readPair(message, level: 0, to: &text)
        return MetricLabel(key: key, value: text)
    }

    /// Appends the value and returns the key.
    private static func readPair(
        _ message: ProtobufCursor, level: Int, to text: inout [UInt8]
    ) throws(WireError) -> [UInt8] {
        var cursor = message
        var key: [UInt8] = []
        var value: ProtobufCursor?
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): key = Array(try readText(&cursor).utf8)
            case bytesTag(2): value = try cursor.readMessage()
            default: try cursor.skip(tag, known: 0b110)
            }
        }
        if let value {
            try append(value, level: level, to: &text)
        } else if level > 0 {
            text.append(contentsOf: "null".utf8)
        }
        return key
    }

    /// - Parameter level: above 0 inside an array or a map, where texts are quoted.
    private static func append(
        _ message: ProtobufCursor, level: Int, to text: inout [UInt8]
    ) throws(WireError) {
        guard level <= Limits.nestingDepth else { throw WireError(.nesting, at: message.offset) }
        var cursor = message
        let start = text.count
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            if (1...7).contains(tag >> 3) { text.removeLast(text.count - start) }
            switch tag {
            case bytesTag(1):
                let value = try readText(&cursor)
                if level == 0 { text.append(contentsOf: value.utf8) } else { quote(value, to: &text) }
            case varintTag(2): LabelValueText.append(try cursor.readVarint() != 0, to: &text)
            case varintTag(3): LabelValueText.append(Int64(bitPattern: try cursor.readVarint()), to: &text)
            case fixed64Tag(4): LabelValueText.append(Double(bitPattern: try cursor.readFixed64()), to: &text)
            case bytesTag(5): try appendList(try cursor.readMessage(), isMap: false, level: level + 1, to: &text)
            case bytesTag(6): try appendList(try cursor.readMessage(), isMap: true, level: level + 1, to: &text)
            case bytesTag(7):
                let encoded = AttributeText.base64(Array(try cursor.readBytes()))
                if level == 0 { text.append(contentsOf: encoded.utf8) } else { quote(encoded, to: &text) }
            default: try cursor.skip(tag, known: 0xfe)
            }
        }
        if text.count == start, level > 0 { text.append(contentsOf: "null".utf8) }
    }

    private static func appendList(
        _ message: ProtobufCursor, isMap: Bool, level: Int, to text: inout [UInt8]
    ) throws(WireError) {
        var cursor = message
        text.append(UInt8(ascii: isMap ? "{" : "["))
        var isFirst = true
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(1) else {
                try cursor.skip(tag, known: 1 << 1)
                continue
            }
            if !isFirst { text.append(UInt8(ascii: ",")) }
            isFirst = false
            let item = try cursor.readMessage()
            if isMap {
                var value: [UInt8] = []
                let key = try readPair(item, level: level, to: &value)
                quote(String(decoding: key, as: UTF8.self), to: &text)
                text.append(UInt8(ascii: ":"))
                text.append(contentsOf: value)
            } else {
                try append(item, level: level, to: &text)
            }
        }
        text.append(UInt8(ascii: isMap ? "}" : "]"))
    }

    static func quote(_ value: String, to text: inout [UInt8]) {
        var json = JSONWriter()
        json.string(value)
        text.append(contentsOf: json.bytes)
    }
}
