/// A JSON number where it lies in the text, so that 64-bit integers stay exact.
///
/// Valid as long as the reader's bytes are.
package struct JSONNumber {
    package let raw: UnsafeRawBufferPointer
    package let offset: Int

    package var text: String { String(decoding: raw, as: UTF8.self) }

    /// Nil when the number has a fraction or an exponent or does not fit.
    package var int64: Int64? { decimalInt64(raw) }
    /// Nil when the number is negative, has a fraction or an exponent, or does not fit.
    package var uint64: UInt64? { decimalUInt64(raw) }
    /// The nearest double; nil beyond its range.
    package var double: Double? {
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

/// An unsigned decimal of digits only; nil when empty, when something else stands there or beyond 64 bits.
func decimalUInt64(_ digits: UnsafeRawBufferPointer) -> UInt64? {
    guard (1...20).contains(digits.count) else { return nil }
    var value: UInt64 = 0
    for digit in digits {
        guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
        let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
        guard !overflow, !carry else { return nil }
        value = sum
    }
    return value
}

func decimalInt64(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard let first = text.first else { return nil }
    guard first == UInt8(ascii: "-") else { return decimalUInt64(text).flatMap { Int64(exactly: $0) } }
    guard let magnitude = decimalUInt64(UnsafeRawBufferPointer(rebasing: text[1...])),
        magnitude <= UInt64(Int64.max) + 1
    else { return nil }
    return Int64(bitPattern: 0 &- magnitude)
}

extension JSONReader {
    /// Reads a number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    package mutating func readNumber() throws(WireError) -> JSONNumber {
        let first = try peek()
        let start = offset
        var index = offset
        guard first == UInt8(ascii: "-") || isDigit(at: index) else { throw WireError(.unexpectedByte, at: offset) }
        if first == UInt8(ascii: "-") { index += 1 }
        if byte(at: index) == UInt8(ascii: "0") {
            index += 1
        } else {
            index = try endOfDigits(from: index)
        }
        if byte(at: index) == UInt8(ascii: ".") { index = try endOfDigits(from: index + 1) }
        if byte(at: index) == UInt8(ascii: "e") || byte(at: index) == UInt8(ascii: "E") {
            index += 1
            if byte(at: index) == UInt8(ascii: "+") || byte(at: index) == UInt8(ascii: "-") { index += 1 }
            index = try endOfDigits(from: index)
        }
        offset = index
        return JSONNumber(raw: UnsafeRawBufferPointer(rebasing: bytes[start..<index]), offset: start)
    }

    private func byte(at index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }
    private func isDigit(at index: Int) -> Bool { byte(at: index) >= 0x30 && byte(at: index) <= 0x39 }

    /// At least one digit must stand at `start`.
    private func endOfDigits(from start: Int) throws(WireError) -> Int {
        var index = start
        while isDigit(at: index) { index += 1 }
        guard index > start else { throw WireError(index < bytes.count ? .number : .truncated, at: index) }
        return index
    }
}

/// Integers as the protobuf JSON mapping and Zipkin's writers send them: a number or a string of digits.
extension JSONReader {
    package mutating func readInt64() throws(WireError) -> Int64 {
        let (digits, start) = try readDigits()
        guard let value = decimalInt64(digits) ?? wholeNumber(digits).flatMap({ Int64(exactly: $0) }) else {
            throw WireError(.integer, at: start)
        }
        return value
    }

    package mutating func readUInt64() throws(WireError) -> UInt64 {
        let (digits, start) = try readDigits()
        guard let value = decimalUInt64(digits) ?? wholeNumber(digits).flatMap({ UInt64(exactly: $0) }) else {
            throw WireError(.integer, at: start)
        }
        return value
    }

    /// A number, or one of the strings that the protobuf JSON mapping allows for doubles.
    package mutating func readDouble() throws(WireError) -> Double {
        if try peek() == UInt8(ascii: "\"") {
            let string = try readString()
            switch string {
            case "NaN": return .nan
            case "Infinity": return .infinity
            case "-Infinity": return -.infinity
            default:
                guard let value = Double(string.text), value.isFinite else {
                    throw WireError(.float, at: string.offset)
                }
                return value
            }
        }
        let number = try readNumber()
        guard let value = number.double else { throw WireError(.range, at: number.offset) }
        return value
    }

    private mutating func readDigits() throws(WireError) -> (UnsafeRawBufferPointer, Int) {
        switch try peek() {
        case UInt8(ascii: "\""):
            let string = try readString()
            return (string.raw, string.offset)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try readNumber()
            return (number.raw, number.offset)
        default: throw WireError(.integer, at: offset)
        }
    }

    /// `1.5e9` and `2.0` are whole though not written so; JavaScript clients send such numbers. Only as far as a
    /// double counts exactly.
    private func wholeNumber(_ digits: UnsafeRawBufferPointer) -> Double? {
        guard let value = Double(String(decoding: digits, as: UTF8.self)), value.magnitude <= 0x1p53,
            value.rounded(.towardZero) == value
        else { return nil }
        return value
    }
}
