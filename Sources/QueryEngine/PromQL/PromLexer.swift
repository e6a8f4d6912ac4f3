/// Cuts an expression into words. Blanks and comments, from `#` to the end of the line, fall between them.
struct PromLexer {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) { self.text = text }

    /// All words, the last one is ``PromToken/Kind/end``.
    static func tokens(of text: [UInt8]) throws(PromParseError) -> [PromToken] {
        var lexer = PromLexer(text)
        var tokens: [PromToken] = []
        while true {
            let token = try lexer.next()
            tokens.append(token)
            if token.kind == .end { return tokens }
        }
    }

    private mutating func next() throws(PromParseError) -> PromToken {
        skipBlanks()
        let start = position
        guard let byte = peek() else { return PromToken(kind: .end, range: start..<start) }
        if isLetter(byte) || byte == UInt8(ascii: ":") {
            while let next = peek(), isWordByte(next) || next == UInt8(ascii: ":") { position += 1 }
            return PromToken(kind: .word, range: start..<position)
        }
        if isDigit(byte) || byte == UInt8(ascii: "."), let kind = try numberOrDuration() {
            return PromToken(kind: kind, range: start..<position)
        }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"):
            var quote = PromQuotedText(text, at: start)
            let value = try quote.read()
            position = quote.end
            return PromToken(kind: .string(value), range: start..<position)
        default: return PromToken(kind: .symbol(try symbol()), range: start..<position)
        }
    }

    private func peek(_ distance: Int = 0) -> UInt8? {
        position + distance < text.count ? text[position + distance] : nil
    }

    private mutating func skipBlanks() {
        while let byte = peek() {
            if byte == UInt8(ascii: "#") {
                while let next = peek(), next != UInt8(ascii: "\n") { position += 1 }
            } else if byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d {
                position += 1
            } else {
                return
            }
        }
    }

    private mutating func symbol() throws(PromParseError) -> String {
        let start = position
        for candidate in ["==", "=~", "!=", "!~", ">=", "<="] where text[start...].starts(with: candidate.utf8) {
            position += 2
            return candidate
        }
        let byte = text[start]
        guard "(){}[],@=<>+-*/%^".utf8.contains(byte) else {
            let rest = String(decoding: text[start...].prefix(4), as: UTF8.self)
            throw PromParseError("unexpected character: \(rest.prefix(1).debugDescription)", at: start, in: text)
        }
        position += 1
        return String(UnicodeScalar(byte))
    }

    /// A number in decimal, hexadecimal or scientific form, or a duration such as `1h30m`; nil for a lone dot.
    private mutating func numberOrDuration() throws(PromParseError) -> PromToken.Kind? {
        let start = position
        if peek() == UInt8(ascii: "."), !(peek(1).map(isDigit) ?? false) { return nil }
        scanNumber()
        if !(peek().map(isWordByte) ?? false) {
            let spelled = String(decoding: text[start..<position], as: UTF8.self)
            if let value = PromNumber.value(spelled) { return .number(value) }
        } else {
            position = start
            while let next = peek(), isWordByte(next) { position += 1 }
            let spelled = String(decoding: text[start..<position], as: UTF8.self)
            if let milliseconds = PromDuration.milliseconds(spelled) { return .duration(milliseconds) }
        }
        let spelled = String(decoding: text[start..<position].prefix(64), as: UTF8.self)
        throw PromParseError("bad number or duration syntax: \(spelled.debugDescription)", at: start, in: text)
    }

    private mutating func scanNumber() {
        if peek() == UInt8(ascii: "0"), peek(1).map({ $0 | 0x20 }) == UInt8(ascii: "x") {
            position += 2
            while let next = peek(), hexValue(next) != nil { position += 1 }
            return
        }
        skipDigits()
        if peek() == UInt8(ascii: ".") {
            position += 1
            skipDigits()
        }
        guard peek().map({ $0 | 0x20 }) == UInt8(ascii: "e") else { return }
        position += 1
        if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
        skipDigits()
    }

    private mutating func skipDigits() { while let next = peek(), isDigit(next) { position += 1 } }
}

func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

func isLetter(_ byte: UInt8) -> Bool {
    let lower = byte | 0x20
    return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
}

func isWordByte(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) }

func hexValue(_ byte: UInt8) -> UInt32? {
    if isDigit(byte) { return UInt32(byte - UInt8(ascii: "0")) }
    let lower = byte | 0x20
    guard lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "f") else { return nil }
    return UInt32(lower - UInt8(ascii: "a")) + 10
}
