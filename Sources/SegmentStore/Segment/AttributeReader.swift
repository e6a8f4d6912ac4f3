internal import Bytes
internal import Telemetry

/// Which columns the attributes of each owner lie in: the shapes of one kind of owner.
struct AttributeShapes {
    /// Column indexes of each distinct shape.
    let shapes: [[UInt16]]
    let codes: StringColumn
    /// Places of the value columns in the block's directory entry.
    let places: [Int]

    /// - Parameter count: owners in the block.
    init(_ block: inout BlockReader, _ owner: AttributeOwner, count: Int) throws(SegmentError) {
        places = block.valuePlaces(owner)
        codes = try block.strings(ColumnID.shape(owner), count: count, rows: 0..<count)
        var shapes: [[UInt16]] = []
        shapes.reserveCapacity(codes.valueCount)
        for index in 0..<codes.valueCount {
            let bytes = codes.value(index)
            guard bytes.count % 2 == 0 else { throw block.damage("attribute shape of odd length") }
            var shape: [UInt16] = []
            var offset = bytes.startIndex
            while offset < bytes.endIndex {
                let column = UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
                guard column == SegmentFormat.sharedColumn || Int(column) < places.count else {
                    throw block.damage("attribute in an unknown column")
                }
                shape.append(column)
                offset += 2
            }
            shapes.append(shape)
        }
        self.shapes = shapes
    }

    /// How many attributes of each column the given owners have; the last element counts the shared column.
    func occurrences(_ owners: Range<Int>) -> [Int] {
        var shapeCounts = [Int](repeating: 0, count: shapes.count)
        for owner in owners { shapeCounts[codes.index(owner)] += 1 }
        var result = [Int](repeating: 0, count: places.count + 1)
        for (shape, count) in zip(shapes, shapeCounts) where count > 0 {
            for column in shape { result[min(Int(column), places.count)] += count }
        }
        return result
    }
}

/// Materialises the attributes of consecutive owners of one kind.
struct AttributeReader {
    private enum Values {
        case none
        case integers(IntegerColumn)
        case strings(StringColumn)
    }

    private struct Column {
        var key: String
        var type: AttributeType
        var values: Values
        /// Row of the next value.
        var next: Int
    }

    private let shapes: AttributeShapes
    private var columns: [Column?] = []
    private var shared = StringColumn.empty
    private var sharedNext = 0
    private var owner: Int
    private let blockDamage: SegmentError

    /// - Parameters:
    ///   - count: owners in the block.
    ///   - owners: those that will be read, in order.
    init(
        _ block: inout BlockReader, _ owner: AttributeOwner, count: Int, owners: Range<Int>
    ) throws(SegmentError) {
        shapes = try AttributeShapes(&block, owner, count: count)
        self.owner = owners.lowerBound
        blockDamage = block.damage("attribute beyond its column")
        let before = shapes.occurrences(0..<owners.lowerBound)
        let wanted = shapes.occurrences(owners)
        let total = shapes.occurrences(0..<count)
        for (index, place) in shapes.places.enumerated() {
            columns.append(
                wanted[index] == 0
                    ? nil : try Self.column(&block, place, total[index], before[index], wanted[index]))
        }
        let last = shapes.places.count
        if wanted[last] > 0 {
            let rows = before[last]..<before[last] + wanted[last]
            shared = try block.strings(ColumnID.shared(owner), count: total[last], rows: rows)
            sharedNext = before[last]
        }
    }

    private static func column(
        _ block: inout BlockReader, _ place: Int, _ total: Int, _ first: Int, _ wanted: Int
    ) throws(SegmentError) -> Column {
        let entry = block.entry.columns[place]
        guard let type = AttributeType(rawValue: entry.type) else { throw block.damage("unknown attribute type") }
        let rows = first..<first + wanted
        let values: Values
        switch type {
        case .empty: values = .none
        case .bool, .int, .double:
            values = .integers(try block.integers(place: place, count: total, rows: rows))
        case .string, .bytes, .array, .map:
            values = .strings(try block.strings(place: place, count: total, rows: rows))
        }
        return Column(key: block.keyText(entry.key), type: type, values: values, next: first)
    }

    /// The attributes of the next owner.
    mutating func next() throws(SegmentError) -> [Attribute] {
        let shape = shapes.shapes[shapes.codes.index(owner)]
        owner += 1
        var result: [Attribute] = []
        result.reserveCapacity(shape.count)
        for column in shape {
            if column == SegmentFormat.sharedColumn {
                guard let attribute = SharedAttribute.decode(shared.value(shared.index(sharedNext))) else {
                    throw blockDamage
                }
                result.append(attribute)
                sharedNext += 1
            } else {
                result.append(try value(Int(column)))
            }
        }
        return result
    }

    private mutating func value(_ index: Int) throws(SegmentError) -> Attribute {
        guard let column = columns[index] else { throw blockDamage }
        columns[index]?.next += 1
        switch column.values {
        case .none: return Attribute(column.key, .empty)
        case .integers(let values):
            return Attribute(column.key, AttributeDecoding.value(column.type, values[column.next]))
        case .strings(let values):
            let bytes = values.value(values.index(column.next))
            return Attribute(column.key, AttributeDecoding.value(column.type, bytes))
        }
    }
}

/// Stored forms of attribute values to values.
enum AttributeDecoding {
    static func value(_ type: AttributeType, _ stored: UInt64) -> AttributeValue {
        switch type {
        case .bool: .bool(stored != 0)
        case .int: .int(zigzagDecoded(stored))
        case .double: .double(Double(bitPattern: stored))
        case .empty, .string, .bytes, .array, .map: .empty
        }
    }

    static func value(_ type: AttributeType, _ bytes: ArraySlice<UInt8>) -> AttributeValue {
        switch type {
        case .string: .string(String(decoding: bytes, as: UTF8.self))
        case .bytes: .bytes(Array(bytes))
        case .array, .map: NestedValue.decode(type, content: Array(bytes)) ?? .empty
        case .empty, .bool, .int, .double: .empty
        }
    }
}

/// An attribute of the shared column: its key is stored with it.
enum SharedAttribute {
    static func decode(_ bytes: ArraySlice<UInt8>) -> Attribute? {
        let bytes = Array(bytes)
        var reader = ByteReader(bytes.span.bytes)
        do {
            let key = String(decoding: try reader.readText(), as: UTF8.self)
            guard let type = AttributeType(rawValue: try reader.read(UInt8.self)) else { return nil }
            switch type {
            case .empty: return Attribute(key, .empty)
            case .bool: return Attribute(key, .bool(try reader.read(UInt64.self) != 0))
            case .int: return Attribute(key, .int(try reader.read(Int64.self)))
            case .double: return Attribute(key, .double(Double(bitPattern: try reader.read(UInt64.self))))
            case .string, .bytes, .array, .map:
                return Attribute(key, AttributeDecoding.value(type, bytes[reader.offset...]))
            }
        } catch {
            return nil
        }
    }
}
