/// The last values of counters and gauges that were removed, so that one that returns goes on from there.
///
/// Keyed by 128 bits of keyed hash instead of the labels; the secrets of the hash go to the log with the values. Bounded: beyond the limit the oldest is forgotten and
/// counted; such a series returns at zero, which Prometheus takes as a reset.
struct RememberedTotals {
    struct Key: Hashable {
        var first: UInt64
        var second: UInt64
    }

    struct Total {
        var value: Double
        /// Unix seconds: from which it counts, and of the last update.
        var start: Int64
        var lastUpdate: Int64
    }

    private struct Kept {
        var total: Total
        var ticket: UInt64
    }

    private let limit: Int
    /// Four numbers, two for each half of a key.
    private(set) var secrets: [UInt64]
    private var firstHash: KeyedHash
    private var secondHash: KeyedHash
    private var totals: [Key: Kept] = [:]
    /// Oldest first from `oldest` on; an entry whose ticket is not the total's own is void.
    private var order: [(key: Key, ticket: UInt64)] = []
    private var oldest = 0
    private var tickets: UInt64 = 0
    private(set) var forgotten: UInt64 = 0

    init(limit: Int) {
        self.limit = limit
        var generator = SystemRandomNumberGenerator()
        secrets = (0..<4).map { _ in generator.next() }
        firstHash = KeyedHash(first: secrets[0], second: secrets[1])
        secondHash = KeyedHash(first: secrets[2], second: secrets[3])
    }

    /// Goes on with the secrets of an earlier process.
    /// - Returns: false when there are not four, or values under others already.
    mutating func adopt(secrets: [UInt64]) -> Bool {
        if secrets == self.secrets { return true }
        guard totals.isEmpty, secrets.count == 4 else { return false }
        self.secrets = secrets
        firstHash = KeyedHash(first: secrets[0], second: secrets[1])
        secondHash = KeyedHash(first: secrets[2], second: secrets[3])
        return true
    }

    var count: Int { totals.count }

    func key(family: UInt32, labels: UnsafeRawBufferPointer) -> Key {
        Key(
            first: firstHash.hash(labels, seed: UInt64(family)), second: secondHash.hash(labels, seed: UInt64(family)))
    }

    mutating func remember(_ total: Total, for key: Key) {
        guard total.value != 0 else { return }
        tickets += 1
        totals[key] = Kept(total: total, ticket: tickets)
        order.append((key, tickets))
        while totals.count > limit { forgetOldest() }
        if oldest > 1_024, oldest * 2 > order.count || order.count > limit * 4 { tidy() }
    }

    /// Hands the value back, once.
    mutating func take(_ key: Key) -> Total? { totals.removeValue(forKey: key)?.total }

    func peek(_ key: Key) -> Total? { totals[key]?.total }

    /// All of them, the oldest first.
    var all: [(key: Key, total: Total)] {
        var all: [(key: Key, total: Total)] = []
        for entry in order[oldest...] {
            if let kept = totals[entry.key], kept.ticket == entry.ticket { all.append((entry.key, kept.total)) }
        }
        return all
    }

    private mutating func forgetOldest() {
        guard oldest < order.count else { return }
        let entry = order[oldest]
        oldest += 1
        if totals[entry.key]?.ticket == entry.ticket {
            totals[entry.key] = nil
            forgotten += 1
        }
    }

    /// Drops the entries that stand for nothing any more.
    private mutating func tidy() {
        order = order[oldest...].filter { totals[$0.key]?.ticket == $0.ticket }
        oldest = 0
    }
}
