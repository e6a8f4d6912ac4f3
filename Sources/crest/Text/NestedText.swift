/// A JSON object as lines for people: scalars first, then a block for each object in it.
enum NestedText {
    static func lines(_ value: JSONValue, heading: (String) -> String = { $0 }) -> [String] {
        var lines = aligned(scalars(value, prefix: ""), indent: "")
        for (key, member) in value.members {
            guard case .object = member else { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append(heading(SafeText.escape(key)))
            lines += aligned(flattened(member, prefix: ""), indent: "  ")
        }
        return lines
    }

    /// The members that are no objects, with arrays joined by commas.
    private static func scalars(_ value: JSONValue, prefix: String) -> [(String, String)] {
        value.members.compactMap { key, member in
            if case .object = member { return nil }
            return (prefix + key, text(member, key: key))
        }
    }

    /// Every scalar below, with dotted names.
    static func flattened(_ value: JSONValue, prefix: String) -> [(String, String)] {
        value.members.flatMap { key, member in
            guard case .object = member else { return [(prefix + key, text(member, key: key))] }
            return flattened(member, prefix: prefix + key + ".")
        }
    }

    static func aligned(_ pairs: [(String, String)], indent: String) -> [String] {
        let safe = pairs.map { (SafeText.escape($0.0), SafeText.escape($0.1)) }
        let width = safe.reduce(0) { max($0, DisplayWidth.of($1.0)) }
        return safe.map { indent + DisplayWidth.padRight($0.0, to: width) + "  " + $0.1 }
    }

    /// Byte counts get a readable size behind them: `16777216 (16 MiB)`.
    private static func text(_ value: JSONValue, key: String) -> String {
        switch value {
        case .null: return "-"
        case .array(let items):
            return items.isEmpty ? "none" : items.map { $0.text ?? JSONWriter.compact($0) }.joined(separator: ", ")
        default:
            let text = value.text ?? ""
            guard key.hasSuffix("Bytes"), let bytes = value.integer, bytes >= 1_024 else { return text }
            return text + " (" + NumberText.bytes(bytes) + ")"
        }
    }
}
