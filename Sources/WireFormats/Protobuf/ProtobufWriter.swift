internal import Bytes

/// Appends protobuf fields to a byte array. The mirror image of ``ProtobufCursor``.
///
/// Fields with their default value are the caller's to leave out.
package struct ProtobufWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    private mutating func varint(_ value: UInt64) { bytes.appendVarint(value) }

    /// Empties the writer and keeps its memory.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// `int64`, `uint64`, `bool` and enum fields.
    package mutating func varint(_ number: UInt32, _ value: UInt64) {
        varint(UInt64(varintTag(number)))
        varint(value)
    }

    package mutating func fixed64(_ number: UInt32, _ value: UInt64) {
        varint(UInt64(fixed64Tag(number)))
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    package mutating func fixed32(_ number: UInt32, _ value: UInt32) {
        varint(UInt64(fixed32Tag(number)))
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    package mutating func double(_ number: UInt32, _ value: Double) { fixed64(number, value.bitPattern) }

    package mutating func string(_ number: UInt32, _ text: String) {
        varint(UInt64(bytesTag(number)))
        varint(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    package mutating func bytes(_ number: UInt32, _ content: [UInt8]) {
        varint(UInt64(bytesTag(number)))
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func bytes(_ number: UInt32, _ content: UnsafeRawBufferPointer) {
        varint(UInt64(bytesTag(number)))
        varint(UInt64(content.count))
        bytes.append(contentsOf: content)
    }

    /// A nested message, written by `body`.
    package mutating func message(_ number: UInt32, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        bytes(number, inner.bytes)
    }
}

extension [UInt8] {
    mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}
