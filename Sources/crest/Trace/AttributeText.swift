/// OTLP attributes (`{"key":..., "value":{"stringValue":...}}`) as text for people.
enum AttributeText {
    /// The value of the first attribute with this key.
    static func value(of key: String, in attributes: [JSONValue]) -> String? {
        attributes.first { $0["key"]?.text == key }.map { text($0["value"]) }
    }

    /// `key=value` of one attribute, safe to print.
    static func pair(_ attribute: JSONValue) -> String {
        SafeText.escape((attribute["key"]?.text ?? "") + "=" + text(attribute["value"]))
    }

    /// Scalars as they are; arrays and maps as JSON; bytes as base64 after `bytes:`.
    static func text(_ value: JSONValue?) -> String {
        guard let (kind, content) = value?.members.first else { return "" }
        switch kind {
        case "arrayValue", "kvlistValue": return JSONWriter.compact(plain(value, depth: 0))
        case "bytesValue": return "bytes:" + (content.text ?? "")
        default: return content.text ?? ""
        }
    }

    /// OTLP's wrapped value as the plain JSON it stands for. The parser has already limited the depth.
    private static func plain(_ value: JSONValue?, depth: Int) -> JSONValue {
        guard let (kind, content) = value?.members.first else { return .null }
        switch kind {
        case "arrayValue": return .array((content["values"]?.items ?? []).map { plain($0, depth: depth + 1) })
        case "kvlistValue":
            let entries = content["values"]?.items ?? []
            return .object(entries.map { ($0["key"]?.text ?? "", plain($0["value"], depth: depth + 1)) })
        case "intValue": return content.text.map { .number($0) } ?? .null
        default: return content
        }
    }
}
