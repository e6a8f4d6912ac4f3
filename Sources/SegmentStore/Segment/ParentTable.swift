/// Finds the row of a span id within one trace; emptied in constant time between traces.
struct ParentTable: ~Copyable {
    private var ids: GrowingBuffer<UInt64>
    private var rows: GrowingBuffer<UInt32>
    /// A slot is taken when it carries the current round.
    private var rounds: GrowingBuffer<UInt32>
    private var round: UInt32 = 0
    private var mask = 0

    init() {
        ids = GrowingBuffer()
        rows = GrowingBuffer()
        rounds = GrowingBuffer()
    }

    /// Starts a trace of `count` spans.
    mutating func begin(count: Int) {
        round &+= 1
        if round == 0 || count * 2 > mask {
            var size = max(256, mask + 1)
            while size < count * 2 + 1 { size *= 2 }
            rounds.removeAll()
            rounds.resize(to: size, filler: 0)
            ids.resize(to: size, filler: 0)
            rows.resize(to: size, filler: 0)
            mask = size - 1
            round = 1
        }
    }

    /// Adds a span; the first of several with one id stays.
    @inline(__always)
    mutating func add(_ id: UInt64, row: Int) {
        var slot = Int(truncatingIfNeeded: keyedHash(0, id)) & mask
        while rounds.base[slot] == round {
            if ids.base[slot] == id { return }
            slot = (slot + 1) & mask
        }
        rounds.base[slot] = round
        ids.base[slot] = id
        rows.base[slot] = UInt32(truncatingIfNeeded: row)
    }

    @inline(__always)
    func row(of id: UInt64) -> Int? {
        var slot = Int(truncatingIfNeeded: keyedHash(0, id)) & mask
        while rounds.base[slot] == round {
            if ids.base[slot] == id { return Int(rows.base[slot]) }
            slot = (slot + 1) & mask
        }
        return nil
    }
}
