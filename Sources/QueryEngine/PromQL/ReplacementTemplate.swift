internal import Bytes

/// `$1`, `${1}`, `$name`, `${name}` and `$$` in the replacement of `label_replace`, as Go's regexp expands them.
enum ReplacementTemplate {
    static func expanded(_ template: String, _ match: LinearRegex.Match, names: [String?]) -> String {
        let bytes = Array(template.utf8)
        var result: [UInt8] = []
        var position = 0
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "$") else {
                result.append(bytes[position])
                position += 1
                continue
            }
            if position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "$") {
                result.append(UInt8(ascii: "$"))
                position += 2
                continue
            }
            guard let (name, end) = reference(bytes, after: position) else {
                result.append(bytes[position])
                position += 1
                continue
            }
            result.append(contentsOf: text(of: name, match, names).utf8)
            position = end
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The name behind a dollar sign and where it ends; nil when there is none, and the sign stands for itself.
    private static func reference(_ bytes: [UInt8], after dollar: Int) -> (name: String, end: Int)? {
        var start = dollar + 1
        let isBraced = start < bytes.count && bytes[start] == UInt8(ascii: "{")
        if isBraced { start += 1 }
        var end = start
        while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
        guard end > start else { return nil }
        let name = String(decoding: bytes[start..<end], as: UTF8.self)
        guard isBraced else { return (name, end) }
        guard end < bytes.count, bytes[end] == UInt8(ascii: "}") else { return nil }
        return (name, end + 1)
    }

    /// Empty for a group that there is not or that took no part.
    private static func text(of name: String, _ match: LinearRegex.Match, _ names: [String?]) -> String {
        let index = name.utf8.allSatisfy(isDigit) ? Int(name) : names.firstIndex(of: name)
        guard let index, match.groups.indices.contains(index) else { return "" }
        return match.groups[index] ?? ""
    }
}
