internal import Bytes

/// A JSON string where it lies in the text: checked, but not yet unescaped.
///
/// Valid as long as the reader's bytes are.
package struct JSONString {
    /// What stands between the quotes.
    package let raw: UnsafeRawBufferPointer
    /// Offset of the opening quote.
    package let offset: Int
    package let hasEscapes: Bool

    package var text: String {
        if !hasEscapes { return String(decoding: raw, as: UTF8.self) }
        var plain: [UInt8] = []
        appendPlain(to: &plain)
        return String(decoding: plain, as: UTF8.self)
    }

    /// Calls `body` with the unescaped bytes; copies only when there are escapes.
    package func withPlain<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if !hasEscapes { return body(raw) }
        var plain: [UInt8] = []
        appendPlain(to: &plain)
        return plain.withUnsafeBytes(body)
    }

    /// Appends the unescaped bytes. A surrogate without its other half becomes U+FFFD.
    package func appendPlain(to target: inout [UInt8]) {
        guard hasEscapes else { return target.append(contentsOf: raw) }
        target.reserveCapacity(target.count + raw.count)
        var index = 0
        while index < raw.count {
            let byte = raw[index]
            guard byte == UInt8(ascii: "\\"), index + 1 < raw.count else {
                target.append(byte)
                index += 1
                continue
            }
            if raw[index + 1] == UInt8(ascii: "u") {
                index = appendUnicode(at: index, to: &target)
            } else {
                target.append(Self.unescaped(raw[index + 1]))
                index += 2
            }
        }
    }

    /// Writes the character of `\uXXXX`, or of a surrogate pair, at `index`; returns the index behind it.
    private func appendUnicode(at index: Int, to target: inout [UInt8]) -> Int {
        let unit = codeUnit(at: index + 2)
        var scalar = Unicode.Scalar(unit) ?? "\u{FFFD}"
        var next = index + 6
        if (0xd800..<0xdc00).contains(unit), next + 6 <= raw.count, raw[next] == UInt8(ascii: "\\"),
            raw[next + 1] == UInt8(ascii: "u")
        {
            let low = codeUnit(at: next + 2)
            if (0xdc00..<0xe000).contains(low) {
                scalar = Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{FFFD}"
                next += 6
            }
        }
        target.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        return next
    }

    /// Four hexadecimal digits, which the reader has checked.
    private func codeUnit(at index: Int) -> UInt32 {
        var value: UInt32 = 0
        for position in index..<min(index + 4, raw.count) {
            value = value << 4 | UInt32(hexValue(raw[position]) ?? 0)
        }
        return value
    }

    private static func unescaped(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "n"): 0x0a
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "r"): 0x0d
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0c
        default: letter
        }
    }

    /// Whether the unescaped text is `name`.
    package func equals(_ name: StaticString) -> Bool {
        withPlain { plain in
            guard plain.count == name.utf8CodeUnitCount else { return false }
            for index in 0..<plain.count where plain[index] != name.utf8Start[index] { return false }
            return true
        }
    }

    /// Lets `switch key { case "name": ... }` work.
    package static func ~= (name: StaticString, string: JSONString) -> Bool { string.equals(name) }
}

extension JSONReader {
    /// Reads a string, checking escapes, control characters and UTF-8.
    package mutating func readString() throws(WireError) -> JSONString {
        guard try peek() == UInt8(ascii: "\"") else { throw WireError(.string, at: offset) }
        let quote = offset
        var index = quote + 1
        var hasEscapes = false
        while true {
            index = endOfPlainText(from: index)
            guard index < bytes.count else { throw WireError(.truncated, at: bytes.count) }
            switch bytes[index] {
            case UInt8(ascii: "\""):
                offset = index + 1
                let raw = UnsafeRawBufferPointer(rebasing: bytes[(quote + 1)..<index])
                return JSONString(raw: raw, offset: quote, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                index = try endOfEscape(at: index)
                hasEscapes = true
            case 0x80...:
                guard let next = endOfUTF8Sequence(bytes, at: index) else {
                    throw WireError(.invalidUTF8, at: index)
                }
                index = next
            default: throw WireError(.control, at: index)
            }
        }
    }

    /// The first byte from `start` on that is a quote, a backslash, a control character or not ASCII.
    @inline(__always)
    private func endOfPlainText(from start: Int) -> Int {
        var index = start
        while bytes.count - index >= 8 {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian
            let special = specialBytes(word)
            if special != 0 { return index + special.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x20 || byte >= 0x80 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
            index += 1
        }
        return index
    }

    /// The high bit of every byte of `word` that ends plain text; bits above the lowest may be false alarms.
    @inline(__always)
    private func specialBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ ones &* UInt64(UInt8(ascii: "\""))
        let backslashes = word ^ ones &* UInt64(UInt8(ascii: "\\"))
        let found =
            (quotes &- ones) & ~quotes | (backslashes &- ones) & ~backslashes | (word &- ones &* 0x20) & ~word | word
        return found & (ones &* 0x80)
    }

    private func endOfEscape(at backslash: Int) throws(WireError) -> Int {
        guard bytes.count - backslash >= 2 else { throw WireError(.truncated, at: bytes.count) }
        switch bytes[backslash + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return backslash + 2
        case UInt8(ascii: "u"):
            for index in (backslash + 2)..<(backslash + 6) {
                guard index < bytes.count else { throw WireError(.truncated, at: bytes.count) }
                guard hexValue(bytes[index]) != nil else { throw WireError(.escape, at: index) }
            }
            return backslash + 6
        default: throw WireError(.escape, at: backslash + 1)
        }
    }
}
