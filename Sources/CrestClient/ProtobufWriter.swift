/// Appends protobuf fields to one growing array. Sizes of nested messages are known before they are written, so
/// nothing is moved or copied twice.
/// - Source: the protobuf encoding page, wire types 0 (varint), 1 (fixed 64), 2 (length) and 5 (fixed 32).
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init(reserving capacity: Int = 0) {
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func varintField(_ tag: UInt8, _ value: UInt64) {
        bytes.append(tag)
        varint(value)
    }

    mutating func lengthHeader(_ tag: UInt8, _ length: Int) {
        bytes.append(tag)
        varint(UInt64(length))
    }

    mutating func stringField(_ tag: UInt8, _ text: String) {
        lengthHeader(tag, text.utf8.count)
        bytes.append(contentsOf: text.utf8)
    }

    mutating func bytesField(_ tag: UInt8, _ content: [UInt8]) {
        lengthHeader(tag, content.count)
        bytes.append(contentsOf: content)
    }

    mutating func raw(_ content: [UInt8]) { bytes.append(contentsOf: content) }

    mutating func fixed64Field(_ tag: UInt8, _ value: UInt64) {
        bytes.append(tag)
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// A fixed 32-bit field whose number is 16 or more, so that its tag takes two bytes.
    mutating func fixed32Field(_ firstTagByte: UInt8, _ secondTagByte: UInt8, _ value: UInt32) {
        bytes.append(firstTagByte)
        bytes.append(secondTagByte)
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func bigEndian(_ value: UInt64) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Bytes that `varint` would write.
    static func varintSize(_ value: UInt64) -> Int {
        value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7
    }

    /// Bytes of a length-delimited field with a one-byte tag.
    static func fieldSize(_ length: Int) -> Int { 1 + varintSize(UInt64(length)) + length }
}
