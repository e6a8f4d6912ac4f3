/// A quoted text with Go's escapes; between back quotes nothing is escaped and lines may end.
struct PromQuotedText {
    private let text: [UInt8]
    private let start: Int
    /// Behind the closing quote once read.
    private(set) var end: Int

    /// - Parameter start: the offset of the opening quote.
    init(_ text: [UInt8], at start: Int) {
        self.text = text
        self.start = start
        end = start
    }

    mutating func read() throws(PromParseError) -> String {
        let quote = text[start]
        var value: [UInt8] = []
        var position = start + 1
        while position < text.count {
            let byte = text[position]
            if byte == quote {
                end = position + 1
                return String(decoding: value, as: UTF8.self)
            }
            if quote == UInt8(ascii: "`") || byte != UInt8(ascii: "\\") {
                if byte == UInt8(ascii: "\n"), quote != UInt8(ascii: "`") { break }
                value.append(byte)
                position += 1
            } else {
                position = try escape(at: position, into: &value)
            }
        }
        throw PromParseError("unterminated quoted string", at: start, in: text)
    }

    /// Returns the position behind the escape.
    private func escape(at backslash: Int, into value: inout [UInt8]) throws(PromParseError) -> Int {
        guard backslash + 1 < text.count else {
            throw PromParseError("escape sequence not terminated", at: backslash, in: text)
        }
        let kind = text[backslash + 1]
        switch kind {
        case UInt8(ascii: "x"): return try code(backslash, digits: 2, radix: 16, isScalar: false, into: &value)
        case UInt8(ascii: "u"): return try code(backslash, digits: 4, radix: 16, isScalar: true, into: &value)
        case UInt8(ascii: "U"): return try code(backslash, digits: 8, radix: 16, isScalar: true, into: &value)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            return try code(backslash, digits: 3, radix: 8, isScalar: false, into: &value)
        default:
            guard let byte = Self.single[kind],
                kind != UInt8(ascii: "\"") && kind != UInt8(ascii: "'") || kind == text[start]
            else { throw PromParseError("unknown escape sequence", at: backslash, in: text) }
            value.append(byte)
            return backslash + 2
        }
    }

    private static let single: [UInt8: UInt8] = [
        UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10,
        UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11, UInt8(ascii: "\\"): 0x5c,
        UInt8(ascii: "\""): 0x22, UInt8(ascii: "'"): 0x27,
    ]

    private func code(
        _ backslash: Int, digits: Int, radix: UInt32, isScalar: Bool, into value: inout [UInt8]
    ) throws(PromParseError) -> Int {
        let first = backslash + (radix == 8 ? 1 : 2)
        var number: UInt32 = 0
        for index in first..<(first + digits) {
            guard index < text.count, let digit = hexValue(text[index]), digit < radix else {
                throw PromParseError("illegal character in escape sequence", at: min(index, text.count), in: text)
            }
            number = number &* radix &+ digit
        }
        if isScalar {
            guard let scalar = Unicode.Scalar(number) else {
                throw PromParseError("escape sequence is an invalid Unicode code point", at: backslash, in: text)
            }
            value.append(contentsOf: String(scalar).utf8)
        } else {
            guard let byte = UInt8(exactly: number) else {
                throw PromParseError("escape sequence is no byte", at: backslash, in: text)
            }
            value.append(byte)
        }
        return first + digits
    }
}

extension String {
    /// In double quotes, so that ``PromQuotedText`` reads it back.
    var promQuoted: String {
        var result = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\u{0}"..<" ": result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
