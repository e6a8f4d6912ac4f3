internal import Telemetry

/// A pull reader over borrowed JSON text (RFC 8259): no tree, no copies, an offset in every error.
///
///     var json = JSONReader(bytes)
///     try json.beginObject()
///     while let key = try json.nextKey() {
///         switch key {
///         case "name": name = try json.readString().text
///         default: try json.skipValue()
///         }
///     }
///     try json.finish()
///
/// After each key, and after each `true` of ``nextElement()``, the caller reads or skips exactly one value.
/// The bytes must outlive the reader and every ``JSONString`` and ``JSONNumber`` it hands out. Arrays and objects
/// nest to ``Limits/nestingDepth`` levels; a repeated key is simply handed out again.
package struct JSONReader {
    let bytes: UnsafeRawBufferPointer
    /// The next byte to read.
    package internal(set) var offset = 0
    /// Open arrays and objects.
    private var depth = 0
    /// True right after `{` or `[`: the next item has no comma before it.
    private var isFirst = false

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first byte of the next value, which tells its type: `{ [ " t f n -` or a digit.
    package mutating func peek() throws(WireError) -> UInt8 {
        skipSpace()
        guard offset < bytes.count else { throw WireError(.truncated, at: offset) }
        return bytes[offset]
    }

    package mutating func beginObject() throws(WireError) { try begin(UInt8(ascii: "{"), .object) }
    package mutating func beginArray() throws(WireError) { try begin(UInt8(ascii: "["), .array) }

    private mutating func begin(_ bracket: UInt8, _ kind: WireError.Kind) throws(WireError) {
        guard try peek() == bracket else { throw WireError(kind, at: offset) }
        guard depth < Limits.nestingDepth else { throw WireError(.nesting, at: offset) }
        depth += 1
        offset += 1
        isFirst = true
    }

    /// The next key of the object, with its colon read; nil when the object ends here.
    package mutating func nextKey() throws(WireError) -> JSONString? {
        guard try next(UInt8(ascii: "}")) else { return nil }
        let key = try readString()
        guard try peek() == UInt8(ascii: ":") else { throw WireError(.unexpectedByte, at: offset) }
        offset += 1
        return key
    }

    /// Whether the array has another element; false when it ends here.
    package mutating func nextElement() throws(WireError) -> Bool { try next(UInt8(ascii: "]")) }

    private mutating func next(_ bracket: UInt8) throws(WireError) -> Bool {
        let byte = try peek()
        if byte == bracket {
            offset += 1
            depth -= 1
            isFirst = false
            return false
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw WireError(.unexpectedByte, at: offset) }
            offset += 1
        }
        return true
    }

    /// Reads `null` if it stands here.
    package mutating func readNull() throws(WireError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try readWord("null")
        return true
    }

    package mutating func readBool() throws(WireError) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try readWord("true")
            return true
        case UInt8(ascii: "f"):
            try readWord("false")
            return false
        default: throw WireError(.boolean, at: offset)
        }
    }

    private func stands(_ word: StaticString) -> Bool {
        guard bytes.count - offset >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount where bytes[offset + index] != word.utf8Start[index] { return false }
        return true
    }

    private mutating func readWord(_ word: StaticString) throws(WireError) {
        guard stands(word) else { throw WireError(.unexpectedByte, at: offset) }
        offset += word.utf8CodeUnitCount
    }

    /// Whether only white space is left.
    package mutating func isAtEnd() -> Bool {
        skipSpace()
        return offset >= bytes.count
    }

    /// Only white space may follow.
    package mutating func finish() throws(WireError) {
        skipSpace()
        guard offset == bytes.count else { throw WireError(.trailing, at: offset) }
    }

    @inline(__always)
    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0a, 0x0d, 0x09: offset += 1
            default: return
            }
        }
    }

    /// Skips one value of any type, checking it as it goes. Needs no stack of its own: one bit a level.
    package mutating func skipValue() throws(WireError) {
        let outer = depth
        // Bit 0 is the innermost open level: 1 for an object.
        var levels: UInt64 = 0
        while true {
            switch try peek() {
            case UInt8(ascii: "{"):
                try beginObject()
                levels = levels << 1 | 1
            case UInt8(ascii: "["):
                try beginArray()
                levels <<= 1
            default: try skipScalar()
            }
            // Step to the next value of the innermost level, closing levels that end here.
            while depth > outer {
                if try levels & 1 == 1 ? nextKey() != nil : nextElement() { break }
                levels >>= 1
            }
            if depth == outer { return }
        }
    }

    private mutating func skipScalar() throws(WireError) {
        switch bytes[offset] {
        case UInt8(ascii: "\""): _ = try readString()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try readBool()
        case UInt8(ascii: "n"): _ = try readNull()
        default: _ = try readNumber()
        }
    }
}
