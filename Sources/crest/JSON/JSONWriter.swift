/// Writes a `JSONValue` back as text, safe for a terminal: every control and direction character is escaped.
struct JSONWriter {
    private var output = ""

    private init() {}

    /// One line without spaces.
    static func compact(_ value: JSONValue) -> String {
        var writer = JSONWriter()
        writer.write(value, indent: nil)
        return writer.output
    }

    /// Indented by two spaces, without a newline at the end.
    static func pretty(_ value: JSONValue) -> String {
        var writer = JSONWriter()
        writer.write(value, indent: 0)
        return writer.output
    }

    private mutating func write(_ value: JSONValue, indent: Int?) {
        switch value {
        case .null: output += "null"
        case .bool(let flag): output += flag ? "true" : "false"
        case .number(let text): output += text
        case .string(let text): write(string: text)
        case .array(let items):
            enclose("[", "]", items, indent: indent) { writer, item, inner in
                writer.write(item, indent: inner)
            }
        case .object(let members):
            enclose("{", "}", members, indent: indent) { writer, member, inner in
                writer.write(string: member.key)
                writer.output += inner == nil ? ":" : ": "
                writer.write(member.value, indent: inner)
            }
        }
    }

    private mutating func enclose<Element>(
        _ open: String, _ close: String, _ elements: [Element], indent: Int?,
        _ body: (inout JSONWriter, Element, Int?) -> Void
    ) {
        output += open
        let inner = indent.map { $0 + 1 }
        for (index, element) in elements.enumerated() {
            if index > 0 { output += "," }
            newLine(inner)
            body(&self, element, inner)
        }
        if !elements.isEmpty { newLine(indent) }
        output += close
    }

    private mutating func newLine(_ indent: Int?) {
        guard let indent else { return }
        output += "\n"
        output += String(repeating: "  ", count: indent)
    }

    private mutating func write(string: String) {
        output += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            default:
                if SafeText.isUnsafe(scalar) {
                    // Every unsafe scalar is in the basic plane, so four digits are enough.
                    output += "\\u" + SafeText.hexadecimal(scalar.value, digits: 4)
                } else {
                    output.unicodeScalars.append(scalar)
                }
            }
        }
        output += "\""
    }
}
