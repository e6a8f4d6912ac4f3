/// The binary protocol: every number with its full width, big-endian.
///
///     struct  = (type u8, id i16, value)* 0          string = length i32, bytes
///     list    = type u8, count i32, values           map    = key type u8, value type u8, count i32, pairs
///     message = 0x80 0x01 0 type u8, name string, sequence i32
///
/// Source: schemas/wire/thrift.md, "Binary protocol".
struct ThriftBinaryCursor: ThriftCursor {
    private var bytes: ThriftBytes

    init(_ body: UnsafeRawBufferPointer) { bytes = ThriftBytes(body) }

    var offset: Int { bytes.offset }

    mutating func readField(after last: inout Int16) throws(WireError) -> ThriftField? {
        let start = offset
        let type = try bytes.readByte()
        guard type != 0 else { return nil }
        last = Int16(bigEndian: try bytes.read(Int16.self))
        return ThriftField(id: last, type: try Self.type(type, at: start))
    }

    mutating func readBool(_ field: ThriftField) throws(WireError) -> Bool { try bytes.readByte() != 0 }
    mutating func readInt16() throws(WireError) -> Int16 { Int16(bigEndian: try bytes.read(Int16.self)) }
    mutating func readInt32() throws(WireError) -> Int32 { Int32(bigEndian: try bytes.read(Int32.self)) }
    mutating func readInt64() throws(WireError) -> Int64 { Int64(bigEndian: try bytes.read(Int64.self)) }

    mutating func readDouble() throws(WireError) -> Double {
        Double(bitPattern: UInt64(bigEndian: try bytes.read(UInt64.self)))
    }

    mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer {
        let start = offset
        return try bytes.readBytes(Int(try readInt32()), lengthAt: start)
    }

    mutating func readList() throws(WireError) -> ThriftList {
        let start = offset
        let number = try bytes.readByte()
        let count = Int(try readInt32())
        // The type of an empty list may be anything.
        guard count != 0 else { return ThriftList(element: .byte, count: 0) }
        let element = try Self.type(number, at: start)
        try bytes.check(count, least: Self.leastBytes(element), at: start)
        return ThriftList(element: element, count: count)
    }

    mutating func readMap() throws(WireError) -> ThriftMap {
        let start = offset
        let (key, value) = (try bytes.readByte(), try bytes.readByte())
        let count = Int(try readInt32())
        // The types of an empty map may be anything.
        guard count != 0 else { return ThriftMap(key: .byte, value: .byte, count: 0) }
        let map = ThriftMap(key: try Self.type(key, at: start), value: try Self.type(value, at: start), count: count)
        try bytes.check(count, least: Self.leastBytes(map.key) + Self.leastBytes(map.value), at: start)
        return map
    }

    mutating func readMessage() throws(WireError) -> ThriftMessage {
        let start = offset
        let word = UInt32(bigEndian: try bytes.read(UInt32.self))
        guard word >> 16 == 0x8001 else { throw WireError(.thriftMessage, at: start) }
        let name = try readBytes()
        _ = try readInt32()
        return ThriftMessage(name: name, type: UInt8(truncatingIfNeeded: word))
    }

    mutating func skipScalar(_ type: ThriftType) throws(WireError) {
        if type == .binary {
            _ = try readBytes()
        } else {
            try bytes.skip(Self.leastBytes(type))
        }
    }

    private static func type(_ number: UInt8, at offset: Int) throws(WireError) -> ThriftType {
        switch number {
        case 2: .bool
        case 3: .byte
        case 4: .double
        case 6: .int16
        case 8: .int32
        case 10: .int64
        case 11: .binary
        case 12: .structure
        case 13: .map
        case 14: .set
        case 15: .list
        case 16: .uuid
        default: throw WireError(.thriftType, at: offset)
        }
    }

    /// What a value takes at least; numbers take just that.
    private static func leastBytes(_ type: ThriftType) -> Int {
        switch type {
        case .bool, .byte, .structure: 1
        case .int16: 2
        case .int32, .binary: 4
        case .int64, .double: 8
        case .list, .set: 5
        case .map: 6
        case .uuid: 16
        }
    }
}
