/// Appends little-endian integers, varints and bytes to an array. The mirror image of ``ByteReader``.
package struct ByteWriter: Sendable {
    package var bytes: [UInt8]

    package init(reserving capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var count: Int { bytes.count }

    @inlinable
    package mutating func write<Integer: FixedWidthInteger>(_ value: Integer) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    package mutating func write(_ source: [UInt8]) { bytes.append(contentsOf: source) }
    package mutating func write(_ source: UnsafeRawBufferPointer) { bytes.append(contentsOf: source) }
    package mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// A varint length and then the bytes.
    package mutating func writePrefixed(_ source: UnsafeRawBufferPointer) {
        writeVarint(UInt64(source.count))
        write(source)
    }

    /// Overwrites four bytes at `offset`, which must have been written already.
    package mutating func patch(_ value: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }
}
