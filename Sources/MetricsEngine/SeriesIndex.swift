/// The numbers of series by family and label text: open addressing, at most half full. The series themselves lie with
/// the registry and are handed in.
struct SeriesIndex {
    private static let free = UInt32.max

    private let hash = KeyedHash.random()
    private var slots = [UInt32](repeating: free, count: 1_024)

    private func hashed(_ family: UInt32, _ text: UnsafeRawBufferPointer) -> Int {
        Int(truncatingIfNeeded: hash.hash(text, seed: UInt64(family)))
    }

    func find(_ family: UInt32, _ text: [UInt8], of series: [SeriesRegistry.Series]) -> UInt32? {
        text.withUnsafeBytes { bytes in
            var slot = hashed(family, bytes) & (slots.count - 1)
            while slots[slot] != Self.free {
                let candidate = series[Int(slots[slot])]
                if candidate.family == family, candidate.labels.elementsEqual(bytes) { return slots[slot] }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
    }

    /// Adds a series that ``find(_:_:of:)`` does not find; it stands in `series` already.
    mutating func insert(_ id: UInt32, of series: [SeriesRegistry.Series]) {
        if series.count * 2 > slots.count {
            // With it.
            slots = Array(repeating: Self.free, count: slots.count * 2)
            for id in series.indices where !series[id].isRemoved { place(UInt32(id), series) }
        } else {
            place(id, series)
        }
    }

    private mutating func place(_ id: UInt32, _ series: [SeriesRegistry.Series]) {
        var slot = home(of: id, series)
        while slots[slot] != Self.free { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = id
    }

    private func home(of id: UInt32, _ series: [SeriesRegistry.Series]) -> Int {
        let entry = series[Int(id)]
        return hashed(entry.family, entry.labels) & (slots.count - 1)
    }

    /// Takes a series out and moves those behind it up, so that each is still reached from its home without a gap. It
    /// still stands in `series`.
    mutating func remove(_ id: UInt32, of series: [SeriesRegistry.Series]) {
        let mask = slots.count - 1
        var hole = home(of: id, series)
        while slots[hole] != id {
            guard slots[hole] != Self.free else { return }
            hole = (hole + 1) & mask
        }
        var slot = (hole + 1) & mask
        while slots[slot] != Self.free {
            let distance = (slot - home(of: slots[slot], series)) & mask
            if distance >= (slot - hole) & mask {
                slots[hole] = slots[slot]
                hole = slot
            }
            slot = (slot + 1) & mask
        }
        slots[hole] = Self.free
    }
}
