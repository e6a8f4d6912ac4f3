/// One JSON value as the server sent it: members keep their order, numbers keep their text.
///
/// Numbers stay text because nanosecond times do not fit a `Double`, and because `-o json` must print what it was
/// told, not what a float made of it.
enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// The member of an object; nil when this is no object or has no such member.
    subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The elements of an array; empty for anything else.
    var items: [JSONValue] {
        guard case .array(let items) = self else { return [] }
        return items
    }

    /// The members of an object; empty for anything else.
    var members: [(key: String, value: JSONValue)] {
        guard case .object(let members) = self else { return [] }
        return members
    }

    /// A scalar as text; nil for null, arrays and objects.
    var text: String? {
        switch self {
        case .string(let text), .number(let text): return text
        case .bool(let flag): return flag ? "true" : "false"
        case .null, .array, .object: return nil
        }
    }

    /// A whole number, written as a number or as a string (OTLP JSON writes 64-bit integers as strings).
    var integer: Int64? {
        guard let text else { return nil }
        if let exact = Int64(text) { return exact }
        guard let float = Double(text), float.magnitude < 9.2e18 else { return nil }
        return Int64(float.rounded())
    }

    /// A number, written as a number or as a string ("NaN" and "Infinity" too).
    var float: Double? { text.flatMap { Double($0) } }

    var boolean: Bool? {
        switch text {
        case "true": return true
        case "false": return false
        default: return nil
        }
    }
}
