/// What went wrong while reading bytes, and where.
///
/// `offset` counts bytes from the start of the span that the reader was made over.
@usableFromInline
package enum ByteReadError: Error, Hashable, Sendable {
    /// `wanted` bytes were needed at `offset`, fewer are there.
    case truncated(offset: Int, wanted: Int)
    /// A varint longer than ten bytes, or one that does not fit the type it is read as.
    case varintOverflow(offset: Int)
}

/// A cursor over borrowed bytes; every read throws with its offset and never traps.
///
/// Integers are little-endian. The reader neither owns nor copies the bytes.
@usableFromInline
package struct ByteReader: ~Escapable {
    @usableFromInline let bytes: RawSpan
    /// The next byte to read, counted from the start of the span.
    @usableFromInline var position: Int

    @_lifetime(copy bytes)
    @inlinable
    package init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.position = 0
    }

    @inlinable package var offset: Int { position }
    @inlinable package var remaining: Int { bytes.byteCount - position }
    @inlinable package var isAtEnd: Bool { position == bytes.byteCount }

    /// Reads one little-endian integer.
    @inlinable
    @_lifetime(self: copy self)
    package mutating func read<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type
    ) throws(ByteReadError) -> Integer {
        let width = MemoryLayout<Integer>.size
        guard remaining >= width else { throw .truncated(offset: position, wanted: width) }
        let value = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Integer.self)
        position += width
        return Integer(littleEndian: value)
    }

    /// Reads an unsigned LEB128 varint of at most ten bytes.
    @inlinable
    @_lifetime(self: copy self)
    package mutating func readVarint() throws(ByteReadError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < bytes.byteCount else { throw .truncated(offset: position, wanted: 1) }
            let byte = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            if shift == 63, byte > 1 { throw .varintOverflow(offset: start) }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// Reads a varint that counts bytes or items and must fit `limit`.
    @inlinable
    @_lifetime(self: copy self)
    package mutating func readCount(limit: Int) throws(ByteReadError) -> Int {
        let start = position
        let value = try readVarint()
        guard value <= UInt64(limit) else { throw .varintOverflow(offset: start) }
        return Int(value)
    }

    /// Skips `count` bytes and returns the offset of the first.
    @inlinable
    @_lifetime(self: copy self)
    package mutating func skip(_ count: Int) throws(ByteReadError) -> Int {
        guard count >= 0, remaining >= count else { throw .truncated(offset: position, wanted: count) }
        let start = position
        position += count
        return start
    }

    /// Skips `count` bytes and returns them, borrowed.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    package mutating func readSpan(_ count: Int) throws(ByteReadError) -> RawSpan {
        let start = try skip(count)
        return bytes.extracting(start..<start + count)
    }

    /// Reads `count` bytes into a new array.
    @inlinable
    @_lifetime(self: copy self)
    package mutating func readBytes(_ count: Int) throws(ByteReadError) -> [UInt8] {
        let start = try skip(count)
        return [UInt8](unsafeUninitializedCapacity: count) { target, written in
            for index in 0..<count {
                target[index] = bytes.unsafeLoad(fromUncheckedByteOffset: start + index, as: UInt8.self)
            }
            written = count
        }
    }
}

/// A zig-zag coded varint as its signed value (protobuf `sint64`, and our own columns).
@inlinable
package func zigzagDecoded(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
}

/// The zig-zag form of a signed value: small magnitudes of either sign become small numbers.
@inlinable
package func zigzagEncoded(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: (value << 1) ^ (value >> 63))
}
