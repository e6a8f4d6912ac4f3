/// Checks trace ids before anything is asked of the server.
enum TraceIdentifier {
    /// The 32-digit lower-case form of 1 to 32 hexadecimal digits; nil for anything else and for zero.
    static func normalize(_ text: String) -> String? {
        let digits = Array(text.utf8)
        guard (1...32).contains(digits.count) else { return nil }
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        guard digits.contains(where: { $0 != UInt8(ascii: "0") }) else { return nil }
        return String(repeating: "0", count: 32 - digits.count) + text.lowercased()
    }
}
