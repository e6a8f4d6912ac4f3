internal import Telemetry

/// The exemplars of one shard's open second: the last of each bucket of each series. Bounded: further buckets of that
/// second have none, and it is counted.
struct ExemplarSecond {
    private static let limit = Limits.exemplarsPerSecond

    private var places: [UInt64: Int] = [:]
    private var entries: [SeriesExemplar] = []
    private var dropped: UInt64 = 0

    mutating func keep(_ exemplar: Exemplar, series: UInt32, bucket: Int, epoch: UInt32 = 0) {
        let key = UInt64(series) << 8 | UInt64(truncatingIfNeeded: bucket & 0xff)
        if let place = places[key] {
            entries[place] = SeriesExemplar(series: series, exemplar: exemplar, epoch: epoch)
        } else if entries.count < Self.limit {
            places[key] = entries.count
            entries.append(SeriesExemplar(series: series, exemplar: exemplar, epoch: epoch))
        } else {
            dropped &+= 1
        }
    }

    /// Exemplars that found no room since the last call.
    mutating func takeDropped() -> UInt64 {
        defer { dropped = 0 }
        return dropped
    }

    /// Hands all of them out, stamped with their second.
    mutating func take(_ second: Int64) -> [SeriesExemplar] {
        guard !entries.isEmpty else { return [] }
        for index in entries.indices { entries[index].exemplar.nanoseconds = second &* 1_000_000_000 }
        let taken = entries
        entries = []
        entries.reserveCapacity(taken.count)
        places.removeAll(keepingCapacity: true)
        return taken
    }
}
