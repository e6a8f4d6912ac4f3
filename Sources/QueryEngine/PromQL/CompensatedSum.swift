/// A sum that keeps what rounding loses (Neumaier).
struct CompensatedSum {
    private(set) var sum = 0.0
    private(set) var lost = 0.0

    mutating func add(_ value: Double) {
        let total = sum + value
        if sum.magnitude >= value.magnitude {
            lost += (sum - total) + value
        } else {
            lost += (value - total) + sum
        }
        sum = total
    }

    var total: Double { sum + lost }
}

/// The straight line through the samples of a window by least squares.
struct LinearRegression {
    private(set) var slope = 0.0
    /// At the origin.
    private(set) var intercept = 0.0

    /// - Parameters:
    ///   - window: at least two samples.
    ///   - origin: the time, in unix milliseconds, that counts as zero seconds.
    init(_ window: RangeWindow, origin: Int64) {
        let first = window.values.first ?? 0
        if window.values.allSatisfy({ $0 == first }) {
            slope = first.isInfinite ? .nan : 0
            intercept = first.isInfinite ? .nan : first
            return
        }
        var (sumX, sumY, sumXY, sumXX) = (CompensatedSum(), CompensatedSum(), CompensatedSum(), CompensatedSum())
        for (time, value) in zip(window.timestamps, window.values) {
            let seconds = Double(time - origin) / 1_000
            sumX.add(seconds)
            sumY.add(value)
            sumXY.add(seconds * value)
            sumXX.add(seconds * seconds)
        }
        let count = Double(window.values.count)
        let covariance = sumXY.total - sumX.total * sumY.total / count
        let variance = sumXX.total - sumX.total * sumX.total / count
        slope = covariance / variance
        intercept = sumY.total / count - slope * sumX.total / count
    }
}
