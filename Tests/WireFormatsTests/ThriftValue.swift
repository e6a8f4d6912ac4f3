/// A thrift value, and its bytes in both protocols: what clients write, for tests.
indirect enum ThriftValue {
    case bool(Bool)
    case byte(UInt8)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    case double(Double)
    case text(String)
    case bytes([UInt8])
    case structure([(Int, ThriftValue)])
    /// Elements of the type of the first; an empty list is one of structs.
    case list([ThriftValue])
    case map([(ThriftValue, ThriftValue)])

    enum Wire: CaseIterable {
        case binary
        case compact
    }

    func encoded(_ wire: Wire) -> [UInt8] {
        var out: [UInt8] = []
        switch wire {
        case .binary: writeBinary(&out)
        case .compact: writeCompact(&out)
        }
        return out
    }

    /// A oneway call with this struct as its arguments.
    func call(_ name: String, _ wire: Wire, type: UInt8 = 4) -> [UInt8] {
        switch wire {
        case .binary:
            [0x80, 1, 0, type] + ThriftValue.text(name).encoded(.binary) + [0, 0, 0, 7] + encoded(.binary)
        case .compact: [0x82, type << 5 | 1, 7] + ThriftValue.text(name).encoded(.compact) + encoded(.compact)
        }
    }

    // MARK: Binary

    private var binaryType: UInt8 {
        switch self {
        case .bool: 2
        case .byte: 3
        case .double: 4
        case .int16: 6
        case .int32: 8
        case .int64: 10
        case .text, .bytes: 11
        case .structure: 12
        case .map: 13
        case .list: 15
        }
    }

    private static func bigEndian(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    private func writeBinary(_ out: inout [UInt8]) {
        switch self {
        case .bool(let flag): out.append(flag ? 1 : 0)
        case .byte(let byte): out.append(byte)
        case .int16(let number): out += Self.bigEndian(number)
        case .int32(let number): out += Self.bigEndian(number)
        case .int64(let number): out += Self.bigEndian(number)
        case .double(let number): out += Self.bigEndian(number.bitPattern)
        case .text(let text): ThriftValue.bytes(Array(text.utf8)).writeBinary(&out)
        case .bytes(let bytes): out += Self.bigEndian(Int32(bytes.count)) + bytes
        case .structure(let fields):
            for (id, value) in fields {
                out += [value.binaryType] + Self.bigEndian(Int16(id))
                value.writeBinary(&out)
            }
            out.append(0)
        case .list(let elements):
            out += [elements.first?.binaryType ?? 12] + Self.bigEndian(Int32(elements.count))
            for element in elements { element.writeBinary(&out) }
        case .map(let pairs):
            out += [pairs.first?.0.binaryType ?? 0, pairs.first?.1.binaryType ?? 0]
            out += Self.bigEndian(Int32(pairs.count))
            for (key, value) in pairs {
                key.writeBinary(&out)
                value.writeBinary(&out)
            }
        }
    }

    // MARK: Compact

    private var compactType: UInt8 {
        switch self {
        case .bool(let flag): flag ? 1 : 2
        case .byte: 3
        case .int16: 4
        case .int32: 5
        case .int64: 6
        case .double: 7
        case .text, .bytes: 8
        case .list: 9
        case .map: 11
        case .structure: 12
        }
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        var (rest, out): (UInt64, [UInt8]) = (number, [])
        while rest >= 0x80 {
            out.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return out + [UInt8(rest)]
    }

    private static func zigzag(_ number: Int64) -> [UInt8] { varint(UInt64(bitPattern: number << 1 ^ number >> 63)) }

    private func writeCompact(_ out: inout [UInt8]) {
        switch self {
        case .bool(let flag): out.append(flag ? 1 : 2)
        case .byte(let byte): out.append(byte)
        case .int16(let number): out += Self.zigzag(Int64(number))
        case .int32(let number): out += Self.zigzag(Int64(number))
        case .int64(let number): out += Self.zigzag(number)
        case .double(let number): out += Self.bigEndian(number.bitPattern).reversed()
        case .text(let text): ThriftValue.bytes(Array(text.utf8)).writeCompact(&out)
        case .bytes(let bytes): out += Self.varint(UInt64(bytes.count)) + bytes
        case .structure(let fields): Self.writeCompact(fields, &out)
        case .list(let elements):
            let type = elements.first?.compactType ?? 12
            out +=
                elements.count < 15
                ? [UInt8(elements.count) << 4 | type] : [0xf0 | type] + Self.varint(UInt64(elements.count))
            for element in elements { element.writeCompact(&out) }
        case .map(let pairs):
            out += Self.varint(UInt64(pairs.count))
            guard let first = pairs.first else { return }
            out.append(first.0.compactType << 4 | first.1.compactType)
            for (key, value) in pairs {
                key.writeCompact(&out)
                value.writeCompact(&out)
            }
        }
    }

    private static func writeCompact(_ fields: [(Int, ThriftValue)], _ out: inout [UInt8]) {
        var last = 0
        for (id, value) in fields {
            if (1...15).contains(id - last) {
                out.append(UInt8(id - last) << 4 | value.compactType)
            } else {
                out += [value.compactType] + zigzag(Int64(id))
            }
            last = id
            if case .bool = value { continue }
            value.writeCompact(&out)
        }
        out.append(0)
    }
}
