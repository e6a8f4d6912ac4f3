internal import Telemetry

/// The last exemplar of each classic bucket, and of each counter. Bounded in all; series without a trace cost nothing.
struct ExemplarTable {
    private let limit: Int
    private var bySeries: [UInt32: [BucketExemplar]] = [:]
    private(set) var count = 0
    /// Exemplars that were not kept because the table was full. Only grows.
    private(set) var dropped: UInt64 = 0

    init(limit: Int = Limits.exemplars) { self.limit = limit }

    /// Takes the place of what the bucket had, unless that is younger.
    mutating func keep(_ exemplar: Exemplar, series: UInt32, bucket: Int) {
        var kept = bySeries[series] ?? []
        if let index = kept.firstIndex(where: { $0.bucket == bucket }) {
            guard kept[index].exemplar.nanoseconds <= exemplar.nanoseconds else { return }
            kept[index].exemplar = exemplar
        } else {
            guard count < limit else {
                dropped += 1
                return
            }
            kept.append(BucketExemplar(bucket: bucket, exemplar: exemplar))
            count += 1
        }
        bySeries[series] = kept
    }

    /// Counts exemplars that found no room before they came here.
    mutating func noteDropped(_ count: UInt64) { dropped &+= count }

    mutating func forget(_ series: UInt32) {
        if let kept = bySeries.removeValue(forKey: series) { count -= kept.count }
    }

    func of(_ series: UInt32) -> [BucketExemplar] { bySeries.isEmpty ? [] : bySeries[series] ?? [] }
}
