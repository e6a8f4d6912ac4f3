/// A quantile from cumulative buckets.
enum HistogramQuantile {
    struct Bucket {
        /// Inclusive.
        var upperBound: Double
        /// Observations up to the bound.
        var count: Double
    }

    /// Linear within the bucket; the first one begins at zero when its bound is positive. In the bucket `+Inf` the
    /// answer is the highest finite bound. NaN without a `+Inf` bucket, without another one, and without observations.
    static func value(_ quantile: Double, _ given: [Bucket]) -> Double {
        if quantile.isNaN { return .nan }
        if quantile < 0 { return -.infinity }
        if quantile > 1 { return .infinity }
        let sorted = given.sorted { PromSorting.isLess($0.upperBound, $1.upperBound) }
        guard sorted.last?.upperBound == .infinity else { return .nan }
        let buckets = monotonic(merged(sorted))
        guard buckets.count >= 2, let total = buckets.last?.count, total != 0 else { return .nan }
        var rank = quantile * total
        let last = buckets.count - 1
        let index = firstIndex(below: last) { buckets[$0].count >= rank }
        if index == last { return buckets[last - 1].upperBound }
        if index == 0, buckets[0].upperBound <= 0 { return buckets[0].upperBound }
        var start = 0.0
        var count = buckets[index].count
        if index > 0 {
            start = buckets[index - 1].upperBound
            count -= buckets[index - 1].count
            rank -= buckets[index - 1].count
        }
        return start + (buckets[index].upperBound - start) * (rank / count)
    }

    /// Buckets with the same bound become one.
    private static func merged(_ buckets: [Bucket]) -> [Bucket] {
        var result: [Bucket] = []
        for bucket in buckets {
            if let last = result.last, last.upperBound == bucket.upperBound {
                result[result.count - 1].count += bucket.count
            } else {
                result.append(bucket)
            }
        }
        return result
    }

    /// Rates of buckets scraped at different moments may fall; no bucket counts less than the one before it.
    private static func monotonic(_ buckets: [Bucket]) -> [Bucket] {
        var result = buckets
        var most = buckets.first?.count ?? 0
        for index in result.indices.dropFirst() {
            if result[index].count > most {
                most = result[index].count
            } else if result[index].count < most {
                result[index].count = most
            }
        }
        return result
    }

    private static func firstIndex(below end: Int, where holds: (Int) -> Bool) -> Int {
        var (low, high) = (0, end)
        while low < high {
            let middle = (low + high) / 2
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension PromEvaluation {
    /// One sample a group of series that differ by `le` only; series whose `le` is no number are left out.
    func histogramQuantile(
        _ node: Int, _ quantile: Double, _ vector: [PromSample]
    ) throws(PromQueryError) -> [PromSample] {
        var grouping = groupings[node] ?? LabelGrouping.histograms
        defer { groupings[node] = grouping }
        var order: [Int] = []
        var buckets: [Int: [HistogramQuantile.Bucket]] = [:]
        for sample in vector {
            guard let bound = PromNumber.float(table[sample.series]["le"]) else { continue }
            let group = grouping.group(of: sample.series, in: &table)
            if buckets[group] == nil { order.append(group) }
            buckets[group, default: []].append(.init(upperBound: bound, count: sample.value))
        }
        var result: [PromSample] = []
        for group in order {
            let value = HistogramQuantile.value(quantile, buckets[group] ?? [])
            result.append(PromSample(series: table.withoutName(grouping.labels[group]), value: value))
        }
        return try unique(result)
    }
}
