internal import Bytes

/// Appends JSON text (RFC 8259) to a byte array; commas and escapes are its business.
///
///     var json = JSONWriter()
///     json.beginObject()
///     json.string("name", "checkout")
///     json.key("spans"); json.beginArray(); json.number(Int64(3)); json.endArray()
///     json.endObject()                                        // json.bytes: {"name":"checkout","spans":[3]}
///
/// The caller pairs begin and end and writes a key before each value of an object.
package struct JSONWriter: Sendable {
    /// The text so far.
    package private(set) var bytes: [UInt8] = []
    /// True when something stands before the next value on its level.
    private var needsComma = false
    private let indent: Int
    private var depth = 0

    /// - Parameter indent: spaces a level, for people; 0 writes everything on one line.
    package init(reserving capacity: Int = 0, indent: Int = 0) {
        self.indent = indent
        bytes.reserveCapacity(capacity)
    }

    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
        depth += 1
    }

    private mutating func end(_ bracket: UInt8) {
        depth -= 1
        if needsComma { newLine() }
        bytes.append(bracket)
        needsComma = true
    }

    /// Writes the name of the next value. Names are ours, so they are not escaped.
    package mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(UInt8(ascii: "\""))
        colon()
    }

    /// Writes the name of the next value when it comes from data.
    package mutating func key(escaping name: String) {
        separate()
        quote(name)
        colon()
    }

    package mutating func string(_ text: String) {
        separate()
        quote(text)
        needsComma = true
    }

    package mutating func number(_ value: Int64) { token(String(value)) }
    package mutating func number(_ value: UInt64) { token(String(value)) }
    package mutating func number(_ value: Int) { token(String(value)) }

    /// The shortest text that reads back as the same value; `NaN`, `Infinity` and `-Infinity` as strings, as the
    /// protobuf JSON mapping has it.
    package mutating func number(_ value: Double) {
        if value.isFinite { return token("\(value)") }
        string(value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity")
    }

    package mutating func bool(_ value: Bool) { token(value ? "true" : "false") }
    package mutating func null() { token("null") }

    /// Appends text that is JSON already.
    package mutating func raw(_ json: [UInt8]) {
        separate()
        bytes.append(contentsOf: json)
        needsComma = true
    }

    private mutating func token(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        if needsComma || bytes.last == UInt8(ascii: "{") || bytes.last == UInt8(ascii: "[") { newLine() }
    }

    private mutating func colon() {
        bytes.append(UInt8(ascii: ":"))
        if indent > 0 { bytes.append(UInt8(ascii: " ")) }
        needsComma = false
    }

    private mutating func newLine() {
        guard indent > 0 else { return }
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<depth * indent { bytes.append(UInt8(ascii: " ")) }
    }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { escape($0) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Copies runs of plain bytes and writes an escape for each byte between them that needs one.
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        var plain = 0
        for index in 0..<text.count {
            let byte = text[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: text[plain..<index])
            plain = index + 1
            bytes.append(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\n"): bytes.append(UInt8(ascii: "n"))
            case UInt8(ascii: "\r"): bytes.append(UInt8(ascii: "r"))
            case UInt8(ascii: "\t"): bytes.append(UInt8(ascii: "t"))
            case 0..<0x20:
                bytes.append(contentsOf: "u00".utf8)
                bytes.append(hexDigit(byte >> 4))
                bytes.append(hexDigit(byte & 0xf))
            default: bytes.append(byte)
            }
        }
        bytes.append(contentsOf: text[plain..<text.count])
    }
}

/// A key and its value in one call.
extension JSONWriter {
    package mutating func string(_ name: StaticString, _ text: String) {
        key(name)
        string(text)
    }

    package mutating func number(_ name: StaticString, _ value: Int64) {
        key(name)
        number(value)
    }

    package mutating func number(_ name: StaticString, _ value: UInt64) {
        key(name)
        number(value)
    }

    package mutating func number(_ name: StaticString, _ value: Int) {
        key(name)
        number(value)
    }

    package mutating func number(_ name: StaticString, _ value: Double) {
        key(name)
        number(value)
    }

    package mutating func bool(_ name: StaticString, _ value: Bool) {
        key(name)
        bool(value)
    }

    package mutating func null(_ name: StaticString) {
        key(name)
        null()
    }
}
