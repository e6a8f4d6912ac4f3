internal import Telemetry

/// Gathers the hashes of a block's value filter; reused for block after block.
///
/// In it are: every value of every key; every operation of every service, with and without status error; and every
/// value of a span's own attributes together with the span's operation, so that a search for a value on one operation
/// passes over blocks where both are, but never on one span.
/// Source: schemas/disk/segment.md, "Filters".
struct ValueFilterBuilder: ~Copyable {
    /// Hashes that may come again.
    private var hashes = HashSet64()
    /// Hashes that came once and cannot come again.
    private var distinct = GrowingBuffer<UInt64>()
    /// Of the spans' columns: the hash of each distinct string.
    private var strings = GrowingBuffer<UInt64>()
    private var columns = GrowingBuffer<Column>()
    private var pairs = PairSet()
    private static let bitsPerHash = 12

    /// One of the spans' columns of values.
    private struct Column: BitwiseCopyable {
        enum Form: UInt8 { case text, number, double, same }

        var form = Form.same
        /// Of a column of numbers: key and form, mixed. Of one of equal hashes: that hash.
        var hash: UInt64 = 0
        /// The next value that belongs to no owner yet.
        var next = 0
        /// Of a column of strings: where its hashes begin, and which of them each value has.
        var firstString = 0
        var codes: UnsafePointer<UInt32>?
        var numbers: UnsafePointer<UInt64>?
        /// Whether all strings of the column are plain, so that no two of them have one hash.
        var isPlain = true
    }

    /// The filter of a gathered block.
    mutating func words(_ block: borrowing BlockBuilder, keyTable: borrowing StringInterner) -> [UInt64] {
        hashes.removeAll()
        distinct.removeAll()
        let operations = OperationHashes(block, &hashes)
        addNames(block.strings[Int(ColumnID.eventName)], key: "event")
        addNames(block.strings[Int(ColumnID.scopeName)], key: "otel.scope.name")
        addValues(block.eventAttributes, keyTable)
        addValues(block.resourceAttributes, keyTable)
        addColumns(block.spanAttributes, keyTable)
        addTogether(block.spanAttributes, operations)
        var words = BloomFilter.emptyWords(hashes: hashes.count + distinct.count, bitsPerHash: Self.bitsPerHash)
        words.withUnsafeMutableBufferPointer { words in
            hashes.forEach { BloomFilter.insert($0, into: words) }
            for hash in distinct.buffer { BloomFilter.insert(hash, into: words) }
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

    private mutating func keyHash(
        _ key: UInt32, _ place: ValueHash.Place, _ keyTable: borrowing StringInterner
    ) -> UInt64 {
        let name = keyTable.value(Int(key))
        if !ValueHash.isPlain(name) { hashes.insert(ValueHash.unusualKey) }
        return ValueHash.key(ValueHash.text(name), place)
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

    /// Adds every value of events or resources, which share their place and so may repeat each other.
    private mutating func addValues(_ space: borrowing AttributeColumns, _ keyTable: borrowing StringInterner) {
        for index in 0..<space.columns.count {
            let key = keyHash(space.columns.base[index].key, .other, keyTable)
            let form = Self.form(space.columns.base[index].type)
            switch form {
            case .string:
                let count = space.strings[index].pointee.distinct
                for value in 0..<count { hashes.insert(Self.hash(key, space.strings[index].pointee.value(value))) }
            case .bool, .int, .double: addNumbers(space.integers[index].pointee.buffer, key, form)
            case .empty, .opaque: hashes.insert(ValueHash.value(key, form, 0))
            }
        }
    }

    private mutating func addNumbers(_ values: UnsafeBufferPointer<UInt64>, _ key: UInt64, _ form: ValueHash.Form) {
        for value in values {
            hashes.insert(ValueHash.value(key, form, form == .double ? ValueHash.doubleBits(value) : value))
        }
    }

    /// Adds every value of every column of the spans, and leaves the columns for ``addTogether(_:_:)``.
    private mutating func addColumns(_ space: borrowing AttributeColumns, _ keyTable: borrowing StringInterner) {
        columns.removeAll()
        strings.removeAll()
        for index in 0..<space.columns.count {
            let key = keyHash(space.columns.base[index].key, .span, keyTable)
            let form = Self.form(space.columns.base[index].type)
            var column = Column(hash: ValueHash.value(key, form, 0), firstString: strings.count)
            switch form {
            case .string:
                column.form = .text
                column.codes = UnsafePointer(space.strings[index].pointee.codes.base)
                column.isPlain = addStrings(space.strings[index].pointee, key)
            case .bool, .int, .double:
                let values = space.integers[index].pointee.buffer
                column.form = form == .double ? .double : .number
                column.hash = ValueHash.form(key, form)
                column.numbers = values.baseAddress
                addNumbers(values, key, form)
            case .empty, .opaque: hashes.insert(column.hash)
            }
            columns.append(column)
        }
    }

    /// Whether all of them are plain.
    private mutating func addStrings(_ values: borrowing StringInterner, _ key: UInt64) -> Bool {
        let first = strings.count
        var isPlain = true
        for index in 0..<values.distinct {
            let value = values.value(index)
            if ValueHash.isPlain(value) {
                strings.append(ValueHash.value(key, .string, ValueHash.text(value)))
            } else {
                strings.append(ValueHash.value(key, .opaque, 0))
                isPlain = false
            }
        }
        let added = strings.count - first
        if isPlain {
            distinct.append(strings.base + first, count: added)
        } else {
            for index in first..<first + added { hashes.insert(strings.base[index]) }
        }
        return isPlain
    }

    /// Adds every value of the spans' columns together with the operation of its span.
    private mutating func addTogether(
        _ space: borrowing AttributeColumns, _ operations: borrowing OperationHashes
    ) {
        let knowsPairs =
            operations.areDistinct && pairs.begin(rows: operations.hashes.count, columns: strings.count)
        let codes = space.shapes.codes.buffer
        let columns = columns.base
        for row in 0..<codes.count {
            let shape = space.shapes.value(Int(codes[row]))
            let number = Int(operations.ofRow.base[row])
            let operation = operations.hashes.base[number]
            var offset = 0
            while offset < shape.count {
                let index = Int(shape.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                offset += 2
                guard index < self.columns.count else { continue }
                let column = columns + index
                let next = column.pointee.next
                column.pointee.next = next &+ 1
                if let codes = column.pointee.codes {
                    let string = column.pointee.firstString &+ Int(codes[next])
                    if column.pointee.isPlain, knowsPairs {
                        if pairs.insert(row: number, column: string) {
                            distinct.append(ValueHash.together(operation, strings.base[string]))
                        }
                    } else {
                        hashes.insert(ValueHash.together(operation, strings.base[string]))
                    }
                } else if let numbers = column.pointee.numbers {
                    var value = numbers[next]
                    if column.pointee.form == .double { value = ValueHash.doubleBits(value) }
                    hashes.insert(ValueHash.together(operation, ValueHash.value(column.pointee.hash, value)))
                } else {
                    hashes.insert(ValueHash.together(operation, column.pointee.hash))
                }
            }
        }
    }
}

/// The operation of each row of a block: a service and a name.
private struct OperationHashes: ~Copyable {
    /// Each operation's hash.
    var hashes = GrowingBuffer<UInt64>()
    /// By row: its operation.
    var ofRow = GrowingBuffer<UInt32>()
    /// False: there are so many that each row has a number of its own.
    let areDistinct: Bool

    private static let mostPairs = 1 << 20

    /// Adds to `target` the hashes of operations, with and without error, and the mark of unusual names.
    init(_ block: borrowing BlockBuilder, _ target: inout HashSet64) {
        let names = Self.textHashes(block.strings[Int(ColumnID.name)], &target)
        let services = Self.textHashes(block.strings[Int(ColumnID.resourceService)], &target)
        let codes = block.strings[Int(ColumnID.name)].codes.buffer
        let scopes = block.integers[Int(ColumnID.scope)].buffer
        let statuses = block.integers[Int(ColumnID.status)].buffer
        let serviceOf = block.strings[Int(ColumnID.resourceService)].codes.buffer
        let ofScope = block.integers[Int(ColumnID.scopeResource)].buffer.map { Int(serviceOf[Int($0)]) }
        let isSmall = services.count <= Self.mostPairs / max(1, names.count)
        areDistinct = isSmall
        var known = [UInt32](repeating: 0, count: isSmall ? services.count * names.count : 0)
        for row in 0..<codes.count {
            let service = ofScope[Int(scopes[row])]
            let pair = service * names.count + Int(codes[row])
            if !isSmall || known[pair] == 0 {
                let hash = ValueHash.operation(service: services[service], name: names[Int(codes[row])])
                hashes.append(hash)
                target.insert(hash)
                if isSmall { known[pair] = UInt32(truncatingIfNeeded: hashes.count) }
            }
            let number = isSmall ? Int(known[pair]) - 1 : hashes.count - 1
            ofRow.append(UInt32(truncatingIfNeeded: number))
            if statuses[row] == UInt64(SpanStatus.error.rawValue) {
                target.insert(ValueHash.together(hashes.base[number], ValueHash.error))
            }
        }
    }

    private static func textHashes(_ names: borrowing StringInterner, _ target: inout HashSet64) -> [UInt64] {
        var result: [UInt64] = []
        for index in 0..<names.distinct {
            let name = names.value(index)
            if !ValueHash.isPlain(name) { target.insert(ValueHash.unusualName) }
            result.append(ValueHash.text(name))
        }
        return result
    }
}

/// A set of pairs of small numbers: a bit each.
private struct PairSet: ~Copyable {
    private var words = GrowingBuffer<UInt64>()
    private var columns = 0
    /// One MiB.
    private static let mostBits = 1 << 23

    /// Empties it; false when there are too many pairs.
    mutating func begin(rows: Int, columns: Int) -> Bool {
        guard columns == 0 || rows <= Self.mostBits / columns else { return false }
        self.columns = columns
        words.removeAll()
        words.resize(to: (rows * columns + 63) / 64, filler: 0)
        return true
    }

    /// False when the pair was there.
    @inline(__always)
    mutating func insert(row: Int, column: Int) -> Bool {
        let bit = row &* columns &+ column
        let mask: UInt64 = 1 &<< UInt64(bit & 63)
        guard words.base[bit >> 6] & mask == 0 else { return false }
        words.base[bit >> 6] |= mask
        return true
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
