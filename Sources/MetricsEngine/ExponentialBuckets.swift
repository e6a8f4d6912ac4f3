internal import Telemetry

/// Weights by exponential bucket: a small open-addressing table whose slot is the index itself, modulo the size.
///
/// Neighbouring buckets take neighbouring slots, so a table that covers its range is a plain array, and a thin one
/// stays at 8 slots (80 bytes). At `largestSlots` and three quarters full it gives up one step of resolution, so
/// memory is bounded by 10 bytes a slot whatever the values are. Counts are doubles: fractional weights are exact.
struct ExponentialBuckets: ~Copyable {
    static let freeKey = Int16.min
    static let smallestSlots = 8

    private(set) var schema: Int
    private(set) var occupied = 0
    private var mask: Int
    private let largestSlots: Int
    private var keys: UnsafeMutablePointer<Int16>
    private var counts: UnsafeMutablePointer<Double>

    init(schema: Int = ExponentialIndex.schema, slots: Int = smallestSlots, largestSlots: Int = 4_096) {
        self.schema = schema
        self.largestSlots = largestSlots
        mask = slots - 1
        keys = .allocate(capacity: slots)
        keys.initialize(repeating: Self.freeKey, count: slots)
        counts = .allocate(capacity: slots)
        counts.initialize(repeating: 0, count: slots)
    }

    deinit {
        keys.deallocate()
        counts.deallocate()
    }

    var slots: Int { mask + 1 }

    /// Multiplies all weights.
    mutating func scale(by factor: Double) {
        let (keys, counts) = (keys, counts)  // see ShardCore.countLine
        for slot in 0...mask where keys[slot] != Self.freeKey { counts[slot] *= factor }
    }

    /// Adds `weight` to a bucket given at schema 8.
    @inline(__always)
    mutating func add(_ weight: Double, at recordedIndex: Int16) {
        add(weight, at: recordedIndex, ofSchema: ExponentialIndex.schema)
    }

    /// Adds `weight` to a bucket given at `source`; a coarser source first makes this table as coarse.
    @inline(__always)
    mutating func add(_ weight: Double, at sourceIndex: Int16, ofSchema source: Int) {
        if source < schema { coarsen(to: source) }
        let index = ExponentialIndex.downscaled(sourceIndex, by: source &- schema)
        var slot = Int(index) & mask
        while true {
            let key = keys[slot]
            if key == index {
                counts[slot] += weight
                return
            }
            if key == Self.freeKey { break }
            slot = (slot &+ 1) & mask
        }
        insert(weight, at: index)
    }

    @inline(never)
    private mutating func insert(_ weight: Double, at index: Int16) {
        if (occupied + 1) * 4 > (mask + 1) * 3 {
            if slots < largestSlots {
                rebuild(slots: slots * 2, schema: schema)
                return add(weight, at: index, ofSchema: schema)
            }
            let finer = schema
            coarsen(to: schema - 1)
            return add(weight, at: index, ofSchema: finer)
        }
        place(weight, at: index)
    }

    private mutating func place(_ weight: Double, at index: Int16) {
        var slot = Int(index) & mask
        while keys[slot] != Self.freeKey, keys[slot] != index { slot = (slot + 1) & mask }
        if keys[slot] == Self.freeKey {
            keys[slot] = index
            occupied += 1
        }
        counts[slot] += weight
    }

    /// Gives up resolution until the schema is `target`. Exact: whole buckets are joined.
    mutating func coarsen(to target: Int) {
        if target < schema { rebuild(slots: slots, schema: target) }
    }

    private mutating func rebuild(slots: Int, schema target: Int) {
        let oldKeys = keys
        let oldCounts = counts
        let oldSlots = mask + 1
        let steps = schema - target
        keys = .allocate(capacity: slots)
        keys.initialize(repeating: Self.freeKey, count: slots)
        counts = .allocate(capacity: slots)
        counts.initialize(repeating: 0, count: slots)
        mask = slots - 1
        schema = target
        occupied = 0
        for slot in 0..<oldSlots where oldKeys[slot] != Self.freeKey {
            place(oldCounts[slot], at: ExponentialIndex.downscaled(oldKeys[slot], by: steps))
        }
        oldKeys.deallocate()
        oldCounts.deallocate()
    }

    /// Empties the table and keeps its memory.
    mutating func clear(schema: Int = ExponentialIndex.schema) {
        keys.update(repeating: Self.freeKey, count: slots)
        counts.update(repeating: 0, count: slots)
        self.schema = schema
        occupied = 0
    }

    /// Visits the buckets in no order.
    func forEach(_ body: (_ index: Int16, _ weight: Double) -> Void) {
        for slot in 0..<slots where keys[slot] != Self.freeKey { body(keys[slot], counts[slot]) }
    }

    /// The buckets by ascending index.
    func sorted() -> [(index: Int16, weight: Double)] {
        var buckets: [(index: Int16, weight: Double)] = []
        buckets.reserveCapacity(occupied)
        forEach { buckets.append(($0, $1)) }
        return buckets.sorted { $0.index < $1.index }
    }

    /// The buckets at `schema`, or at the schema they are held in when that is coarser.
    func native(schema target: Int) -> NativeBuckets {
        let shown = min(target, schema)
        var native = NativeBuckets(schema: shown, zeroWeight: 0, buckets: [])
        for bucket in sorted() {
            if bucket.index == ExponentialIndex.zeroIndex {
                native.zeroWeight += bucket.weight
                continue
            }
            let index = Int(ExponentialIndex.downscaled(bucket.index, by: schema - shown))
            if let last = native.buckets.indices.last, native.buckets[last].index == index {
                native.buckets[last].weight += bucket.weight
            } else {
                native.buckets.append(NativeBuckets.Bucket(index: index, weight: bucket.weight))
            }
        }
        return native
    }

    /// Adds everything of `other`; the result has the coarser schema of the two.
    mutating func merge(_ other: borrowing ExponentialBuckets) {
        for slot in 0..<other.slots where other.keys[slot] != Self.freeKey {
            add(other.counts[slot], at: other.keys[slot], ofSchema: other.schema)
        }
    }

    var total: Double {
        var sum = 0.0
        forEach { sum += $1 }
        return sum
    }

    /// The value at rank `ceil(quantile * total)` in order of size, within the schema's error; nil when empty.
    func quantile(_ quantile: Double) -> Double? {
        let buckets = sorted()
        guard let last = buckets.last else { return nil }
        let rank = quantile * buckets.reduce(0) { $0 + $1.weight }
        var seen = 0.0
        for bucket in buckets {
            seen += bucket.weight
            if seen >= rank, seen > 0 { return ExponentialIndex.middle(of: bucket.index, schema: schema) }
        }
        return ExponentialIndex.middle(of: last.index, schema: schema)
    }
}
