internal import Telemetry

/// Gathers the hashes of a block's value filter; reused for block after block.
///
/// In it are: every value of every key; every operation of every service, with and without status error; and every
/// value of a span's own attributes together with the span's operation, so that a search for a value on one operation
/// passes over blocks where both are, but never on one span.
/// Source: schemas/disk/segment.md, "Filters".
struct ValueFilterBuilder: ~Copyable {
    private var hashes = HashSet64()
    /// Of the columns at hand: hash per distinct string, for every column its start in it.
    private var stringHashes = GrowingBuffer<UInt64>()
    private var columns: [Column] = []
    private static let bitsPerHash = 12

    private struct Column {
        /// Hash of key and place.
        var key: UInt64
        var form: ValueHash.Form
        var firstString: Int
        /// The next value that belongs to no owner yet.
        var next = 0
    }

    /// The filter of a gathered block.
    mutating func words(_ block: borrowing BlockBuilder, keyTable: borrowing StringInterner) -> [UInt64] {
        hashes.removeAll()
        let operations = operationHashes(block)
        addNames(block.strings[Int(ColumnID.eventName)], key: "event")
        addNames(block.strings[Int(ColumnID.scopeName)], key: "otel.scope.name")
        addValues(block.eventAttributes, .other, keyTable)
        addValues(block.resourceAttributes, .other, keyTable)
        addValues(block.spanAttributes, .span, keyTable)
        addTogether(block.spanAttributes, operations)
        var words = BloomFilter.emptyWords(hashes: hashes.count, bitsPerHash: Self.bitsPerHash)
        words.withUnsafeMutableBufferPointer { words in
            hashes.forEach { BloomFilter.insert($0, into: words) }
        }
        return words
    }

    private mutating func addNames(_ names: borrowing StringInterner, key: String) {
        let key = ValueHash.key(ValueHash.text(key), .other)
        for index in 0..<names.distinct { hashes.insert(Self.hash(key, names.value(index))) }
    }

    private static func hash(_ key: UInt64, _ text: UnsafeRawBufferPointer) -> UInt64 {
        ValueHash.isPlain(text)
            ? ValueHash.value(key, .string, ValueHash.text(text)) : ValueHash.value(key, .opaque, 0)
    }

    /// The hash of each row's service and operation; adds them as well.
    private mutating func operationHashes(_ block: borrowing BlockBuilder) -> [UInt64] {
        let names = nameHashes(block.strings[Int(ColumnID.name)])
        let services = nameHashes(block.strings[Int(ColumnID.resourceService)])
        let codes = block.strings[Int(ColumnID.name)].codes.buffer
        let scopes = block.integers[Int(ColumnID.scope)].buffer
        let statuses = block.integers[Int(ColumnID.status)].buffer
        let resourceOf = block.integers[Int(ColumnID.scopeResource)].buffer
        let serviceOf = block.strings[Int(ColumnID.resourceService)].codes.buffer
        let ofScope = resourceOf.map { services[Int(serviceOf[Int($0)])] }
        return (0..<codes.count).map { row in
            let hash = ValueHash.operation(service: ofScope[Int(scopes[row])], name: names[Int(codes[row])])
            hashes.insert(hash)
            if statuses[row] == UInt64(SpanStatus.error.rawValue) {
                hashes.insert(ValueHash.together(hash, ValueHash.error))
            }
            return hash
        }
    }

    private mutating func nameHashes(_ names: borrowing StringInterner) -> [UInt64] {
        var result: [UInt64] = []
        for index in 0..<names.distinct {
            let name = names.value(index)
            if !ValueHash.isPlain(name) { hashes.insert(ValueHash.unusualName) }
            result.append(ValueHash.text(name))
        }
        return result
    }

    /// Adds every value of every column, and leaves the columns' hashes for `addTogether`.
    private mutating func addValues(
        _ space: borrowing AttributeColumns, _ place: ValueHash.Place, _ keyTable: borrowing StringInterner
    ) {
        columns.removeAll(keepingCapacity: true)
        stringHashes.removeAll()
        for index in 0..<space.columns.count {
            let name = keyTable.value(Int(space.columns.base[index].key))
            if !ValueHash.isPlain(name) { hashes.insert(ValueHash.unusualKey) }
            let key = ValueHash.key(ValueHash.text(name), place)
            let form = Self.form(space.columns.base[index].type)
            columns.append(Column(key: key, form: form, firstString: stringHashes.count))
            switch form {
            case .string: addStrings(space.strings[index].pointee, key)
            case .bool, .int, .double:
                for value in space.integers[index].pointee.buffer {
                    hashes.insert(ValueHash.value(key, form, form == .double ? ValueHash.doubleBits(value) : value))
                }
            case .empty, .opaque: hashes.insert(ValueHash.value(key, form, 0))
            }
        }
    }

    private mutating func addStrings(_ strings: borrowing StringInterner, _ key: UInt64) {
        for index in 0..<strings.distinct {
            let hash = Self.hash(key, strings.value(index))
            stringHashes.append(hash)
            hashes.insert(hash)
        }
    }

    private static func form(_ type: UInt8) -> ValueHash.Form {
        switch AttributeType(rawValue: type) {
        case .string: .string
        case .bool: .bool
        case .int: .int
        case .double: .double
        case .bytes, .array, .map: .opaque
        case .empty, nil: .empty
        }
    }

    /// Adds every value of the spans' columns together with the operation of its span.
    private mutating func addTogether(_ space: borrowing AttributeColumns, _ operations: [UInt64]) {
        let codes = space.shapes.codes.buffer
        for row in 0..<codes.count {
            let shape = space.shapes.value(Int(codes[row]))
            let operation = operations[row]
            var offset = 0
            while offset < shape.count {
                let index = Int(shape.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                offset += 2
                guard index < columns.count else { continue }
                hashes.insert(ValueHash.together(operation, nextValue(index, space)))
            }
        }
    }

    /// The hash of the next value of a column.
    @inline(__always)
    private mutating func nextValue(_ index: Int, _ space: borrowing AttributeColumns) -> UInt64 {
        let column = columns[index]
        columns[index].next += 1
        switch column.form {
        case .string:
            let code = space.strings[index].pointee.codes.base[column.next]
            return stringHashes.base[column.firstString + Int(code)]
        case .bool, .int:
            return ValueHash.value(column.key, column.form, space.integers[index].pointee.base[column.next])
        case .double:
            let bits = space.integers[index].pointee.base[column.next]
            return ValueHash.value(column.key, .double, ValueHash.doubleBits(bits))
        case .empty, .opaque: return ValueHash.value(column.key, column.form, 0)
        }
    }
}

/// A set of 64-bit hashes: open addressing without deletion.
struct HashSet64: ~Copyable {
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask = 1_023
    private var hasZero = false
    private var used = 0

    init() {
        slots = .allocate(capacity: 1_024)
        slots.update(repeating: 0, count: 1_024)
    }

    deinit { slots.deallocate() }

    var count: Int { used + (hasZero ? 1 : 0) }

    /// Memory stays for the next use.
    mutating func removeAll() {
        if used > 0 { slots.update(repeating: 0, count: mask + 1) }
        used = 0
        hasZero = false
    }

    @inline(__always)
    mutating func insert(_ hash: UInt64) {
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            if slots[slot] == hash { return }
            slot = (slot + 1) & mask
        }
        add(hash, slot)
    }

    @inline(never)
    private mutating func add(_ hash: UInt64, _ slot: Int) {
        guard hash != 0 else {
            hasZero = true
            return
        }
        slots[slot] = hash
        used += 1
        if used * 2 > mask { grow() }
    }

    private mutating func grow() {
        let old = UnsafeMutableBufferPointer(start: slots, count: mask + 1)
        let size = old.count * 4
        slots = .allocate(capacity: size)
        slots.update(repeating: 0, count: size)
        mask = size - 1
        for hash in old where hash != 0 {
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] != 0 { slot = (slot + 1) & mask }
            slots[slot] = hash
        }
        old.deallocate()
    }

    func forEach(_ body: (UInt64) -> Void) {
        if hasZero { body(0) }
        for slot in 0...mask where slots[slot] != 0 { body(slots[slot]) }
    }
}
