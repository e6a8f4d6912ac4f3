/// A note about each of the traces seen lately, in two generations of bounded size.
///
/// A note is found for at least `lifetime` after it was made, unless so many others came that the generation was full
/// before. Nothing is allocated before the first note.
struct RecentTraces {
    /// What a note says; there is room for two bits.
    enum Note: UInt64 {
        case interesting = 1
        case kept = 2
        case shed = 3
    }

    private struct Generation {
        /// Key with the note in its two lowest bits; zero: free. The size is a power of two.
        var slots: [UInt64] = []
        var count = 0

        func find(_ key: UInt64) -> Note? {
            guard !slots.isEmpty else { return nil }
            let mask = slots.count - 1
            var slot = Int(truncatingIfNeeded: key >> 8) & mask
            while slots[slot] != 0 {
                if slots[slot] | 3 == key | 3 { return Note(rawValue: slots[slot] & 3) }
                slot = (slot + 1) & mask
            }
            return nil
        }

        mutating func set(_ key: UInt64, _ note: Note) {
            let mask = slots.count - 1
            var slot = Int(truncatingIfNeeded: key >> 8) & mask
            while slots[slot] != 0, slots[slot] | 3 != key | 3 { slot = (slot + 1) & mask }
            if slots[slot] == 0 { count += 1 }
            slots[slot] = key & ~3 | note.rawValue
        }
    }

    private var young = Generation()
    private var old = Generation()
    private var since: UInt64 = 0
    private let slotCount: Int
    private let lifetime: UInt64

    /// - Parameters:
    ///   - slotCount: of one generation, 8 bytes each; a power of two. Three quarters of them are used.
    ///   - lifetime: nanoseconds.
    init(slotCount: Int, lifetime: UInt64) {
        self.slotCount = slotCount
        self.lifetime = lifetime
    }

    /// Forgets what is too old.
    mutating func pass(now: UInt64) {
        guard now > since, now - since >= lifetime else { return }
        // After a long silence both are too old.
        if now - since >= 2 * lifetime { young = Generation() }
        turn(now)
    }

    private mutating func turn(_ now: UInt64) {
        old = young
        young = Generation()
        since = now
    }

    func find(_ key: UInt64) -> Note? { young.find(key) ?? old.find(key) }

    mutating func set(_ key: UInt64, _ note: Note, now: UInt64) {
        if young.count >= slotCount / 4 * 3 { turn(now) }
        if young.slots.isEmpty { young.slots = Array(repeating: 0, count: slotCount) }
        young.set(key, note)
    }
}
