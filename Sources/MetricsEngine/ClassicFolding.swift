internal import Telemetry

/// Brings counts by one list of bounds to another. Exact where a bound stands in both lists; in between, a count goes
/// up to the next bound of the target, so that `_bucket` never claims more than is known.
enum ClassicFolding {
    /// - Parameters:
    ///   - counts: one for each of `source` and one above all.
    ///   - target: one for each of `bounds` and one above all.
    static func add(
        _ counts: ArraySlice<Double>, of source: [Double], to target: inout [Double], of bounds: [Double]
    ) {
        var place = 0
        for (index, weight) in counts.enumerated() {
            if index < source.count {
                while place < bounds.count, bounds[place] < source[index] { place += 1 }
            } else {
                place = bounds.count
            }
            if place < target.count { target[place] += weight }
        }
    }

    /// Counts of exponential buckets; exact where a bound is a bucket's, else up by one bucket at most.
    static func add(_ native: NativeBuckets, to target: inout [Double], of bounds: [Double]) {
        let zero = bounds.firstIndex { $0 >= 0 } ?? bounds.count
        if zero < target.count { target[zero] += native.zeroWeight }
        var place = zero
        for bucket in native.buckets {
            let top = ExponentialIndex.upperBound(of: bucket.index, schema: native.schema)
            while place < bounds.count, bounds[place] < top { place += 1 }
            if place < target.count { target[place] += bucket.weight }
        }
    }
}
