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

    /// The ids of a command line, `-` standing for the first word of every line of standard input. Every id is
    /// checked before the first request.
    static func requested(_ arguments: [String]) throws(Failure) -> [String] {
        var texts: [String] = []
        for id in arguments {
            guard id == "-" else {
                texts.append(id)
                continue
            }
            while let line = readLine() {
                let words = line.split(whereSeparator: \.isWhitespace)
                if let word = words.first { texts.append(String(word)) }
            }
        }
        return try texts.map { (text) throws(Failure) in
            guard let id = normalize(text) else {
                throw .usage("'\(SafeText.escape(text))' is no trace id; one has 1 to 32 hexadecimal digits, not all 0")
            }
            return id
        }
    }
}
