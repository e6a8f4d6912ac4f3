internal import Glibc

/// A cursor over the fields of a borrowed protobuf message and of the messages inside it.
///
///     field = varint tag, value          tag = number << 3 | wire type
///     wire type 0: varint | 1: 8 bytes | 2: varint length + bytes | 5: 4 bytes | 3, 4: groups, refused
///
/// Every read is checked against `end`, the end of the innermost message entered; `offset <= end <= body.count` always
/// holds, which is what makes the raw loads below safe. Nothing is copied. The bytes must outlive the cursor.
/// Source: protobuf.dev "Encoding".
struct ProtobufCursor: BitwiseCopyable {
    private let base: UnsafeRawPointer
    /// The next byte to read, from the start of the body.
    private(set) var offset = 0
    /// The end of the innermost message entered.
    private(set) var end: Int

    /// Nil for an empty body.
    init?(_ body: UnsafeRawBufferPointer) {
        guard let base = body.baseAddress, body.count > 0 else { return nil }
        self.base = base
        self.end = body.count
    }

    @inline(__always) var isAtEnd: Bool { offset >= end }

    /// Whether what is left to read is the same in both.
    func hasSameBytes(as other: ProtobufCursor) -> Bool {
        let count = end - offset
        guard count == other.end - other.offset else { return false }
        return count <= 0 || memcmp(base + offset, other.base + other.offset, count) == 0
    }

    /// The tag of the next field.
    @inline(__always)
    mutating func readTag() throws(WireError) -> UInt32 {
        let start = offset
        let tag = try readVarint()
        guard tag <= UInt64(UInt32.max), tag >= 8 else { throw WireError(.fieldNumber, at: start) }
        return UInt32(truncatingIfNeeded: tag)
    }

    @inline(__always)
    mutating func readVarint() throws(WireError) -> UInt64 {
        guard offset < end else { throw WireError(.truncated, at: offset) }
        let first = base.load(fromByteOffset: offset, as: UInt8.self)
        offset &+= 1
        return first < 0x80 ? UInt64(first) : try readLongVarint(first)
    }

    @inline(never)
    private mutating func readLongVarint(_ first: UInt8) throws(WireError) -> UInt64 {
        let start = offset &- 1
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while true {
            guard offset < end else { throw WireError(.truncated, at: offset) }
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            offset &+= 1
            if shift == 63, byte > 1 { throw WireError(.varint, at: start) }
            value |= UInt64(byte & 0x7f) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }

    @inline(__always)
    mutating func readFixed64() throws(WireError) -> UInt64 {
        guard end &- offset >= 8 else { throw WireError(.truncated, at: offset) }
        let value = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        offset &+= 8
        return UInt64(littleEndian: value)
    }

    @inline(__always)
    mutating func readFixed32() throws(WireError) -> UInt32 {
        guard end &- offset >= 4 else { throw WireError(.truncated, at: offset) }
        let value = base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        offset &+= 4
        return UInt32(littleEndian: value)
    }

    /// A length that ends inside the message.
    @inline(__always)
    private mutating func readLength() throws(WireError) -> Int {
        let start = offset
        let length = try readVarint()
        guard length <= UInt64(end &- offset) else { throw WireError(.length, at: start) }
        return Int(truncatingIfNeeded: length)
    }

    /// A string or bytes field, borrowed.
    @inline(__always)
    mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer {
        let length = try readLength()
        let bytes = UnsafeRawBufferPointer(start: base + offset, count: length)
        offset &+= length
        return bytes
    }

    /// Enters the message that is the next value; returns what ``leave(_:)`` wants.
    @inline(__always)
    mutating func enter() throws(WireError) -> Int {
        let length = try readLength()
        let outer = end
        end = offset &+ length
        return outer
    }

    /// Goes on behind the message entered last.
    @inline(__always)
    mutating func leave(_ outer: Int) {
        offset = end
        end = outer
    }

    /// A cursor over the message that is the next value, which this one passes over.
    @inline(__always)
    mutating func readMessage() throws(WireError) -> ProtobufCursor {
        var inner = self
        _ = try inner.enter()
        offset = inner.end
        return inner
    }

    /// Skips the value of a field that the caller does not read.
    ///
    /// - Parameter known: bit n stands for field n; a known field arrives here only with a wrong wire type.
    @inline(never)
    mutating func skip(_ tag: UInt32, known: UInt32) throws(WireError) {
        let start = offset
        let number = tag >> 3
        if number < 32, known & (1 << number) != 0 { throw WireError(.wireType, at: start) }
        switch tag & 7 {
        case 0: _ = try readVarint()
        case 1: _ = try readFixed64()
        case 2: _ = try readBytes()
        case 5: _ = try readFixed32()
        case 3, 4: throw WireError(.group, at: start)
        default: throw WireError(.wireType, at: start)
        }
    }

    /// Passes over the value of a field that another pass reads.
    @inline(__always)
    mutating func pass(_ tag: UInt32) throws(WireError) {
        if tag & 7 == 2 { _ = try readBytes() } else { try skip(tag, known: 0) }
    }
}

/// The tag of a field, as it stands on the wire.
@inline(__always)
func varintTag(_ number: UInt32) -> UInt32 { number << 3 }
@inline(__always)
func fixed64Tag(_ number: UInt32) -> UInt32 { number << 3 | 1 }
@inline(__always)
func bytesTag(_ number: UInt32) -> UInt32 { number << 3 | 2 }
@inline(__always)
func fixed32Tag(_ number: UInt32) -> UInt32 { number << 3 | 5 }
