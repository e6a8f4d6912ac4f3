internal import Telemetry

/// The attributes of one kind of owner in one block, as columns: a shape per owner and values per key and type.
///
/// Source: schemas/disk/segment.md, "Blocks".
struct AttributeColumns: ~Copyable {
    struct Column: BitwiseCopyable {
        /// Index into the encoder's table of keys.
        var key: UInt32
        var type: UInt8
    }

    let owner: AttributeOwner
    private(set) var columns: GrowingBuffer<Column>
    var shapes = StringInterner()
    /// Attributes whose key came after the last column was taken.
    private(set) var shared = StringInterner()
    /// Values of column i; only the one that fits its type is used.
    private(set) var strings: [UnsafeMutablePointer<StringInterner>] = []
    private(set) var integers: [UnsafeMutablePointer<GrowingBuffer<UInt64>>] = []
    /// By key * 8 + type: column index + 1, or 0.
    private var places: GrowingBuffer<UInt16>
    /// By key * 8 + type: 1 where a column is set aside.
    private var reserved: GrowingBuffer<UInt8>
    private var reservedCount = 0
    private var shape: GrowingBuffer<UInt16>
    private var scratch: GrowingBuffer<UInt8>

    init(owner: AttributeOwner, keyCount: Int) {
        self.owner = owner
        columns = GrowingBuffer(capacity: 64)
        places = GrowingBuffer(capacity: max(8, keyCount * 8))
        places.resize(to: keyCount * 8, filler: 0)
        reserved = GrowingBuffer(capacity: max(8, keyCount * 8))
        reserved.resize(to: keyCount * 8, filler: 0)
        shape = GrowingBuffer(capacity: 64)
        scratch = GrowingBuffer()
    }

    deinit {
        for pointer in strings {
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        }
        for pointer in integers {
            pointer.deinitialize(count: 1)
            pointer.deallocate()
        }
    }

    /// Makes room for keys that are new in the encoder's table.
    mutating func grow(keyCount: Int) {
        guard places.count < keyCount * 8 else { return }
        places.resize(to: keyCount * 8, filler: 0)
        reserved.resize(to: keyCount * 8, filler: 0)
    }

    /// Forgets the block; memory stays for the next one.
    mutating func removeAll() {
        for index in 0..<columns.count {
            let column = columns.base[index]
            places.base[Int(column.key) * 8 + Int(column.type)] = 0
            strings[index].pointee.removeAll()
            integers[index].pointee.removeAll()
        }
        columns.removeAll()
        reserved.base.update(repeating: 0, count: reserved.count)
        reservedCount = 0
        shapes.removeAll()
        shared.removeAll()
    }

    /// Appends the attributes of one owner and returns the bytes of their values.
    ///
    /// `rows` are attribute rows as schemas/disk/span-batch.md lays them out; `keys` maps the batch's keys to ours.
    mutating func append(
        _ rows: UnsafeRawPointer, count: Int, arena: UnsafeRawPointer, keys: UnsafePointer<UInt32>,
        keyTable: borrowing StringInterner
    ) -> Int {
        shape.removeAll()
        var textBytes = 0
        for index in 0..<count {
            let row = rows + index * 16
            let word = row.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
            let rawType = word & 0xff
            let type = rawType < 8 ? rawType : 0
            let key = keys[Int(word >> 8)]
            guard let column = column(key, UInt8(truncatingIfNeeded: type)) else {
                textBytes &+= appendShared(row, type, arena, keyTable.value(Int(key)))
                continue
            }
            shape.append(UInt16(truncatingIfNeeded: column))
            let payload = row.loadUnaligned(as: UInt64.self)
            switch type {
            case 1, 5, 6, 7:
                let size = Int(row.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
                strings[column].pointee.append(arena + Int(UInt32(truncatingIfNeeded: payload)), size)
                textBytes &+= size
            case 2: integers[column].pointee.append(payload == 0 ? 0 : 1)
            case 3: integers[column].pointee.append(zigzag(payload))
            case 4: integers[column].pointee.append(payload)
            default: break
            }
        }
        shapes.append(shape.base, shape.count * 2)
        return textBytes
    }

    @inline(__always)
    private func zigzag(_ payload: UInt64) -> UInt64 {
        payload << 1 ^ (payload >> 63 == 0 ? 0 : .max)
    }

    /// The column of a key and type, made if need be; nil when there are too many.
    @inline(__always)
    mutating func column(_ key: UInt32, _ type: UInt8) -> Int? {
        let place = places.base[Int(key) * 8 + Int(type)]
        if place > 0 { return Int(place) - 1 }
        guard columns.count < SegmentFormat.attributeColumns else { return nil }
        return addColumn(key, type)
    }

    /// Sets columns aside that runs will bring; false when there would be too many of them.
    ///
    /// - Parameter keys: maps the keys of the source's tables to ours.
    mutating func reserve(_ source: OwnerColumns, keys: UnsafePointer<UInt32>) -> Bool {
        for column in source.columns {
            let place = Int(keys[column.key]) * 8 + Int(column.type.rawValue)
            if reserved.base[place] == 0 {
                reserved.base[place] = 1
                reservedCount += 1
            }
        }
        return reservedCount <= SegmentFormat.attributeColumns
    }

    /// The column of a key and type that was reserved.
    mutating func reservedColumn(_ key: UInt32, _ type: UInt8) -> Int {
        let place = places.base[Int(key) * 8 + Int(type)]
        return place > 0 ? Int(place) - 1 : addColumn(key, type)
    }

    private mutating func addColumn(_ key: UInt32, _ type: UInt8) -> Int {
        let index = columns.count
        columns.append(Column(key: key, type: type))
        if index == strings.count {
            let interner = UnsafeMutablePointer<StringInterner>.allocate(capacity: 1)
            interner.initialize(to: StringInterner())
            strings.append(interner)
            let buffer = UnsafeMutablePointer<GrowingBuffer<UInt64>>.allocate(capacity: 1)
            buffer.initialize(to: GrowingBuffer())
            integers.append(buffer)
        }
        places.base[Int(key) * 8 + Int(type)] = UInt16(truncatingIfNeeded: index + 1)
        return index
    }

    private mutating func appendShared(
        _ row: UnsafeRawPointer, _ type: UInt32, _ arena: UnsafeRawPointer, _ key: UnsafeRawBufferPointer
    ) -> Int {
        shape.append(SegmentFormat.sharedColumn)
        scratch.removeAll()
        var size = UInt64(key.count)
        while size >= 0x80 {
            scratch.append(UInt8(truncatingIfNeeded: size) | 0x80)
            size >>= 7
        }
        scratch.append(UInt8(truncatingIfNeeded: size))
        for byte in key { scratch.append(byte) }
        scratch.append(UInt8(truncatingIfNeeded: type))
        let payload = row.loadUnaligned(as: UInt64.self)
        switch type {
        case 1, 5, 6, 7:
            let start = (arena + Int(UInt32(truncatingIfNeeded: payload))).assumingMemoryBound(to: UInt8.self)
            scratch.append(start, count: Int(row.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        case 0: break
        default:
            for index in UInt64(0)..<8 { scratch.append(UInt8(truncatingIfNeeded: payload >> (8 * index))) }
        }
        shared.append(scratch.base, scratch.count)
        return scratch.count
    }
}
