internal import Glibc
internal import Telemetry

/// Maps the bytes `name`, `kind`, `tags` of a line, exactly as received, to a series: what spares a line its tags.
///
///     entry: | hash bits u32 | key offset u32 | name bytes and kind u16 | tags bytes u16 | series u32 |
///
/// Open addressing at most half full; the keys lie in one block of memory and are compared after the hash. When
/// `capacity` keys or `keyBytes` are reached everything is forgotten and learnt anew, which costs time, not data.
struct KeyCache: ~Copyable {
    private struct Entry {
        var hashBits: UInt32
        var keyOffset: UInt32
        var nameAndKind: UInt16
        var tagsBytes: UInt16
        /// ``KeyCache/noSeries`` marks a free entry.
        var series: UInt32
    }

    static let noSeries = UInt32.max
    /// Bound to keys whose lines a rule drops.
    static let dropped = UInt32.max - 1
    /// From here on a bound number is no plain series: its upper six bits number a scale, or it is one of the above.
    static let firstScaled: UInt32 = 1 << scaleShift
    static let scaleShift: UInt32 = 26

    private let hash = KeyedHash.random()
    private let capacity: Int
    private let keyBytesLimit: Int
    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private(set) var count = 0
    /// How often the cache was full and forgot everything.
    private(set) var resets: UInt64 = 0
    /// How often the entries were moved.
    private(set) var rebuilds: UInt64 = 0
    /// Entries of `count` that were forgotten: no line matches them.
    private var dead = 0
    private var keys: UnsafeMutableRawPointer
    private var keyBytes = 0
    private var keyCapacity = 4_096

    init(capacity: Int = 1 << 20, keyBytes: Int = 128 << 20) {
        self.capacity = capacity
        keyBytesLimit = keyBytes
        mask = 255
        entries = Self.makeEntries(256)
        keys = .allocate(byteCount: keyCapacity, alignment: 16)
    }

    deinit {
        entries.deallocate()
        keys.deallocate()
    }

    private static func makeEntries(_ count: Int) -> UnsafeMutablePointer<Entry> {
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
        entries.initialize(
            repeating: Entry(hashBits: 0, keyOffset: 0, nameAndKind: 0, tagsBytes: 0, series: noSeries), count: count)
        return entries
    }

    /// The kind stands in the upper three bits; a name of a line within ``Limits/lineBytes`` fits below them.
    @inline(__always)
    private func nameAndKind(_ name: UnsafeRawBufferPointer, _ kind: MetricKind) -> UInt16 {
        UInt16(truncatingIfNeeded: name.count & 0x1fff) | UInt16(kind.number) << 13
    }

    @inline(__always)
    private func hashed(_ name: UnsafeRawBufferPointer, _ tags: UnsafeRawBufferPointer, _ kind: MetricKind) -> UInt64 {
        hash.hash(tags, seed: hash.hash(name, seed: UInt64(kind.number)))
    }

    /// The series bound to these bytes, or ``noSeries``.
    @inline(__always)
    func find(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind) -> UInt32 {
        let hash = hashed(name, tags, kind)
        let bits = UInt32(truncatingIfNeeded: hash >> 32)
        let wanted = nameAndKind(name, kind)
        var index = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = entries[index]
            if entry.series == Self.noSeries { return Self.noSeries }
            if entry.hashBits == bits, entry.nameAndKind == wanted, Int(entry.tagsBytes) == tags.count {
                let key = keys + Int(entry.keyOffset)
                if isEqual(key, name), isEqual(key + name.count, tags) { return entry.series }
            }
            index = (index &+ 1) & mask
        }
    }

    @inline(__always)
    private func isEqual(_ stored: UnsafeRawPointer, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return memcmp(stored, base, bytes.count) == 0
    }

    /// Binds bytes that ``find(name:tags:kind:)`` did not find. Keys beyond the lengths of a line are not kept.
    mutating func insert(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind, series: UInt32
    ) {
        guard name.count < 0x2000, tags.count <= Int(UInt16.max), series != Self.noSeries else { return }
        let needed = name.count + tags.count
        if count >= capacity || keyBytes + needed > keyBytesLimit {
            if dead * 4 >= count { rebuild(slots: mask + 1) } else { forgetAll() }
        }
        if (count + 1) * 2 > mask + 1 { rebuild(slots: dead * 4 >= count ? mask + 1 : (mask + 1) * 2) }
        if keyBytes + needed > keyCapacity { growKeys(by: needed) }
        let entry = Entry(
            hashBits: UInt32(truncatingIfNeeded: hashed(name, tags, kind) >> 32),
            keyOffset: UInt32(truncatingIfNeeded: keyBytes), nameAndKind: nameAndKind(name, kind),
            tagsBytes: UInt16(truncatingIfNeeded: tags.count), series: series)
        if let base = name.baseAddress { (keys + keyBytes).copyMemory(from: base, byteCount: name.count) }
        if let base = tags.baseAddress {
            (keys + keyBytes + name.count).copyMemory(from: base, byteCount: tags.count)
        }
        keyBytes += needed
        place(entry, hash: hashed(name, tags, kind))
        count += 1
    }

    private mutating func place(_ entry: Entry, hash: UInt64) {
        var index = Int(truncatingIfNeeded: hash) & mask
        while entries[index].series != Self.noSeries { index = (index &+ 1) & mask }
        entries[index] = entry
    }

    /// Entries of the table, free ones included.
    var slotCount: Int { mask + 1 }

    /// Forgets the keys bound to a series for which `isGone`, among `slots` entries from `start` on.
    /// - Returns: the first entry that was not looked at.
    mutating func forget(from start: Int, slots: Int, isGone: (_ series: UInt32) -> Bool) -> Int {
        let end = min(start + slots, mask + 1)
        for index in start..<max(start, end) {
            let entry = entries[index]
            guard entry.series < Self.dropped, entry.nameAndKind != Self.deadKey,
                isGone(entry.series & (Self.firstScaled - 1))
            else { continue }
            // The entry stays, so that those behind it are still found; no line has such a kind.
            entries[index].nameAndKind = Self.deadKey
            dead += 1
        }
        return end
    }

    private static let deadKey = UInt16.max

    /// Moves the living entries and their keys into a new table.
    private mutating func rebuild(slots: Int) {
        let old = entries
        let oldCount = mask + 1
        let oldKeys = keys
        let hadDead = dead > 0
        if hadDead { keys = .allocate(byteCount: keyCapacity, alignment: 16) }
        entries = Self.makeEntries(slots)
        mask = slots - 1
        rebuilds += 1
        count -= dead
        dead = 0
        var used = 0
        for index in 0..<oldCount where old[index].series != Self.noSeries && old[index].nameAndKind != Self.deadKey {
            var entry = old[index]
            let nameBytes = Int(entry.nameAndKind & 0x1fff)
            let kind = MetricKind(rawValue: UInt8(truncatingIfNeeded: entry.nameAndKind >> 13)) ?? .counter
            let key = oldKeys + Int(entry.keyOffset)
            let tagsBytes = Int(entry.tagsBytes)
            if hadDead {
                (keys + used).copyMemory(from: key, byteCount: nameBytes + tagsBytes)
                entry.keyOffset = UInt32(truncatingIfNeeded: used)
                used += nameBytes + tagsBytes
            }
            let name = UnsafeRawBufferPointer(start: key, count: nameBytes)
            let tags = UnsafeRawBufferPointer(start: tagsBytes == 0 ? nil : key + nameBytes, count: tagsBytes)
            place(entry, hash: hashed(name, tags, kind))
        }
        if hadDead {
            keyBytes = used
            oldKeys.deallocate()
        }
        old.deallocate()
    }

    private mutating func growKeys(by needed: Int) {
        let capacity = max(keyCapacity + keyCapacity / 2, keyBytes + needed)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: keys, byteCount: keyBytes)
        keys.deallocate()
        keys = larger
        keyCapacity = capacity
    }

    /// Forgets every key, on demand: the count of full caches stays.
    mutating func clear() {
        forgetAll()
        resets -= 1
    }

    private mutating func forgetAll() {
        entries.deallocate()
        entries = Self.makeEntries(256)
        mask = 255
        count = 0
        dead = 0
        keyBytes = 0
        resets += 1
        rebuilds += 1
    }
}
