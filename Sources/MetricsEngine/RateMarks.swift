/// What all values were a few seconds ago: what rates of the last seconds are computed from.
///
/// Two copies of the values are kept, taken five seconds apart, so a rate covers the last five to ten seconds.
struct RateMarks {
    private static let seconds: Int64 = 5

    private var older: [Double] = []
    private var newer: [Double] = []
    private var olderSecond: Int64?
    private var newerSecond: Int64 = 0

    /// Rates begin with the engine: what was restored before is no growth.
    mutating func start(_ values: [Double], second: Int64) {
        guard olderSecond == nil else { return }
        olderSecond = second
        newerSecond = second
        older = values
        newer = values
    }

    /// Takes a copy when the last one is old enough.
    mutating func mark(_ values: [Double], second: Int64) {
        guard second >= newerSecond + Self.seconds || second < newerSecond else { return }
        swap(&older, &newer)
        olderSecond = newerSecond
        newer.removeAll(keepingCapacity: true)
        newer.append(contentsOf: values)
        newerSecond = second
    }

    /// Forgets the past of a number that has a new series, or of one that was restored.
    mutating func reset(_ series: UInt32, to value: Double) {
        let index = Int(series)
        if index < older.count { older[index] = value }
        if index < newer.count { newer[index] = value }
    }

    /// How long the rates reach back, at least one second.
    func seconds(now: Int64) -> Int64 { max(now - (olderSecond ?? now), 1) }

    /// What a value has grown by since the older mark.
    @inline(__always)
    func growth(_ series: Int, value: Double) -> Double { series < older.count ? value - older[series] : value }
}
