/// Gives equal byte strings one index, in order of first use, and remembers the index of every value appended.
///
/// Open addressing over borrowed bytes; the distinct values lie end to end in `bytes`, which is also how a column's
/// dictionary is stored. The hash is keyed per process and never stored.
struct StringInterner: ~Copyable {
    /// One index per value appended.
    private(set) var codes: GrowingBuffer<UInt32>
    private(set) var bytes: GrowingBuffer<UInt8>
    /// End of each distinct value in `bytes`.
    private(set) var ends: GrowingBuffer<UInt32>
    /// Bytes of all values appended, repeats included.
    private(set) var totalBytes = 0
    private var hashes: GrowingBuffer<UInt32>
    /// Index + 1, or 0 for a free slot. The size is a power of two.
    private var slots: UnsafeMutablePointer<UInt32>
    private var mask = 63

    init() {
        codes = GrowingBuffer()
        bytes = GrowingBuffer()
        ends = GrowingBuffer()
        hashes = GrowingBuffer()
        slots = .allocate(capacity: 64)
        slots.update(repeating: 0, count: 64)
    }

    deinit { slots.deallocate() }

    var count: Int { codes.count }
    var distinct: Int { ends.count }

    mutating func removeAll() {
        if distinct > 0 { slots.update(repeating: 0, count: mask + 1) }
        codes.removeAll()
        bytes.removeAll()
        ends.removeAll()
        hashes.removeAll()
        totalBytes = 0
    }

    func value(_ index: Int) -> UnsafeRawBufferPointer {
        let start = index == 0 ? 0 : Int(ends.base[index - 1])
        return UnsafeRawBufferPointer(start: bytes.base + start, count: Int(ends.base[index]) - start)
    }

    /// Appends one value and returns its index.
    @inline(__always)
    @discardableResult
    mutating func append(_ start: UnsafeRawPointer, _ size: Int) -> Int {
        let index = index(of: start, size)
        append(index: UInt32(truncatingIfNeeded: index), size: size)
        return index
    }

    /// Appends the value of an index that ``index(of:_:)`` gave, which has `size` bytes.
    @inline(__always)
    mutating func append(index: UInt32, size: Int) {
        totalBytes &+= size
        codes.append(index)
    }

    /// The same, `count` times.
    mutating func append(index: UInt32, size: Int, count: Int) {
        totalBytes &+= size &* count
        codes.append(repeating: index, count: count)
    }

    /// The index of a value, without appending it. What gets an index has to be appended before the column is written.
    @inline(__always)
    mutating func index(of start: UnsafeRawPointer, _ size: Int) -> Int {
        let hash = UInt32(truncatingIfNeeded: byteHash(start, size))
        var slot = Int(hash) & mask
        while true {
            let entry = Int(slots[slot])
            if entry == 0 { break }
            let index = entry - 1
            if hashes.base[index] == hash {
                let from = index == 0 ? 0 : Int(ends.base[index - 1])
                if Int(ends.base[index]) - from == size, equalBytes(start, bytes.base + from, size) { return index }
            }
            slot = (slot + 1) & mask
        }
        return insert(start, size, hash, slot)
    }

    @inline(never)
    private mutating func insert(_ start: UnsafeRawPointer, _ size: Int, _ hash: UInt32, _ slot: Int) -> Int {
        let index = distinct
        bytes.append(start.assumingMemoryBound(to: UInt8.self), count: size)
        ends.append(UInt32(truncatingIfNeeded: bytes.count))
        hashes.append(hash)
        slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        if distinct * 2 > mask { growSlots() }
        return index
    }

    private mutating func growSlots() {
        let size = (mask + 1) * 4
        slots.deallocate()
        slots = .allocate(capacity: size)
        slots.update(repeating: 0, count: size)
        mask = size - 1
        for index in 0..<distinct {
            var slot = Int(hashes.base[index]) & mask
            while slots[slot] != 0 { slot = (slot + 1) & mask }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }
}

private let hashSeed = UInt64.random(in: .min ... .max)

/// Mixes two words into one: the high and low half of their product.
@inline(__always)
func mixed(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
}

/// Spreads a trace or span id over a hash table, in a way that a sender cannot aim at.
@inline(__always)
func keyedHash(_ high: UInt64, _ low: UInt64) -> UInt64 {
    mixed(mixed(high ^ hashSeed) ^ low ^ 0x9E37_79B9_7F4A_7C15)
}

@inline(__always)
func byteHash(_ start: UnsafeRawPointer, _ size: Int) -> UInt64 {
    var hash = hashSeed ^ UInt64(truncatingIfNeeded: size) &* 0x9E37_79B9_7F4A_7C15
    if size >= 8 {
        var offset = 0
        while size - offset > 8 {
            hash = mixed(hash ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        return mixed(hash ^ start.loadUnaligned(fromByteOffset: size - 8, as: UInt64.self))
    }
    if size >= 4 {
        let low = UInt64(start.loadUnaligned(as: UInt32.self))
        let high = UInt64(start.loadUnaligned(fromByteOffset: size - 4, as: UInt32.self))
        return mixed(hash ^ (low | high << 32))
    }
    var tail: UInt64 = 0
    for offset in 0..<size { tail = tail << 8 | UInt64(start.load(fromByteOffset: offset, as: UInt8.self)) }
    return mixed(hash ^ tail)
}

@inline(__always)
func equalBytes(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ size: Int) -> Bool {
    if size >= 8 {
        var offset = 0
        while size - offset > 8 {
            let same =
                left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if !same { return false }
            offset += 8
        }
        return left.loadUnaligned(fromByteOffset: size - 8, as: UInt64.self)
            == right.loadUnaligned(fromByteOffset: size - 8, as: UInt64.self)
    }
    for offset in 0..<size {
        let same =
            left.load(fromByteOffset: offset, as: UInt8.self) == right.load(fromByteOffset: offset, as: UInt8.self)
        if !same { return false }
    }
    return true
}
