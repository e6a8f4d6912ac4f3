/// The compact protocol: varints, zigzag for signed numbers, ids as the distance to the one before.
///
///     struct  = (delta:4 type:4 | 0:4 type:4 id zigzag, value)* 0     string = length varint, bytes
///     list    = count:4 type:4 | 15:4 type:4 count varint, values     map    = 0 | count varint, key:4 value:4, pairs
///     message = 0x82, type:3 version:5, sequence varint, name string
///
/// A bool field is its type: 1 true, 2 false; in a list it is a byte. A double is little-endian.
/// Source: schemas/wire/thrift.md, "Compact protocol".
struct ThriftCompactCursor: ThriftCursor {
    private var bytes: ThriftBytes

    init(_ body: UnsafeRawBufferPointer) { bytes = ThriftBytes(body) }

    var offset: Int { bytes.offset }

    mutating func readField(after last: inout Int16) throws(WireError) -> ThriftField? {
        let start = offset
        let header = try bytes.readByte()
        guard header & 0x0f != 0 else { return nil }
        if header >> 4 == 0 {
            guard let id = Int16(exactly: try readInt64()) else { throw WireError(.fieldNumber, at: start) }
            last = id
        } else {
            let (id, overflow) = last.addingReportingOverflow(Int16(header >> 4))
            if overflow { throw WireError(.fieldNumber, at: start) }
            last = id
        }
        let type = try Self.type(header & 0x0f, at: start)
        return ThriftField(id: last, type: type, flag: type == .bool ? header & 0x0f == 1 : nil)
    }

    mutating func readBool(_ field: ThriftField) throws(WireError) -> Bool {
        if let flag = field.flag { return flag }
        return try bytes.readByte() == 1
    }

    mutating func readInt16() throws(WireError) -> Int16 {
        let start = offset
        guard let number = Int16(exactly: try readInt64()) else { throw WireError(.range, at: start) }
        return number
    }

    mutating func readInt32() throws(WireError) -> Int32 {
        let start = offset
        guard let number = Int32(exactly: try readInt64()) else { throw WireError(.range, at: start) }
        return number
    }

    mutating func readInt64() throws(WireError) -> Int64 {
        let word = try bytes.readVarint()
        return Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1)
    }

    mutating func readDouble() throws(WireError) -> Double {
        Double(bitPattern: UInt64(littleEndian: try bytes.read(UInt64.self)))
    }

    mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer {
        let start = offset
        return try bytes.readBytes(try readCount(), lengthAt: start)
    }

    mutating func readList() throws(WireError) -> ThriftList {
        let start = offset
        let header = try bytes.readByte()
        let count = header >> 4 == 15 ? try readCount() : Int(header >> 4)
        // The type of an empty list may be anything.
        guard count > 0 else { return ThriftList(element: .byte, count: 0) }
        let element = try Self.type(header & 0x0f, at: start)
        try bytes.check(count, least: Self.leastBytes(element), at: start)
        return ThriftList(element: element, count: count)
    }

    mutating func readMap() throws(WireError) -> ThriftMap {
        let start = offset
        let count = try readCount()
        guard count > 0 else { return ThriftMap(key: .byte, value: .byte, count: 0) }
        let types = try bytes.readByte()
        let map = ThriftMap(
            key: try Self.type(types >> 4, at: start), value: try Self.type(types & 0x0f, at: start), count: count)
        try bytes.check(count, least: Self.leastBytes(map.key) + Self.leastBytes(map.value), at: start)
        return map
    }

    mutating func readMessage() throws(WireError) -> ThriftMessage {
        let start = offset
        let (protocolID, typeAndVersion) = (try bytes.readByte(), try bytes.readByte())
        guard protocolID == 0x82, typeAndVersion & 0x1f == 1 else { throw WireError(.thriftMessage, at: start) }
        _ = try bytes.readVarint()
        return ThriftMessage(name: try readBytes(), type: typeAndVersion >> 5)
    }

    mutating func skipScalar(_ type: ThriftType) throws(WireError) {
        switch type {
        case .bool, .byte: _ = try bytes.readByte()
        case .int16, .int32, .int64: _ = try bytes.readVarint()
        case .binary: _ = try readBytes()
        default: try bytes.skip(Self.leastBytes(type))
        }
    }

    /// A length or count; one beyond 31 bits is refused like every one that the body cannot hold.
    private mutating func readCount() throws(WireError) -> Int {
        let start = offset
        let count = try bytes.readVarint()
        guard count <= UInt64(Int32.max) else { throw WireError(.length, at: start) }
        return Int(truncatingIfNeeded: count)
    }

    private static func type(_ number: UInt8, at offset: Int) throws(WireError) -> ThriftType {
        switch number {
        case 1, 2: .bool
        case 3: .byte
        case 4: .int16
        case 5: .int32
        case 6: .int64
        case 7: .double
        case 8: .binary
        case 9: .list
        case 10: .set
        case 11: .map
        case 12: .structure
        case 13: .uuid
        default: throw WireError(.thriftType, at: offset)
        }
    }

    private static func leastBytes(_ type: ThriftType) -> Int {
        switch type {
        case .double: 8
        case .uuid: 16
        default: 1
        }
    }
}
