/// Functions of the samples in a window.
enum RangeFunction {
    /// Nil when the window holds too few samples; it is never empty.
    static func value(_ function: PromFunction, _ window: RangeWindow) -> Double? {
        switch function {
        case .rate: extrapolated(window, isCounter: true, isPerSecond: true)
        case .increase: extrapolated(window, isCounter: true, isPerSecond: false)
        case .delta: extrapolated(window, isCounter: false, isPerSecond: false)
        case .irate: lastDifference(window, isRate: true)
        case .idelta: lastDifference(window, isRate: false)
        case .deriv:
            window.values.count < 2 ? nil : LinearRegression(window, origin: window.timestamps.first ?? 0).slope
        case .changes: Double(count(window.values) { $0 != $1 && !($0.isNaN && $1.isNaN) })
        case .resets: Double(count(window.values) { $1 < $0 })
        case .countOverTime: Double(window.values.count)
        case .presentOverTime: 1
        case .lastOverTime: window.values.last
        case .minOverTime: extreme(window.values) { $0 < $1 }
        case .maxOverTime: extreme(window.values) { $0 > $1 }
        case .sumOverTime: sum(window.values)
        case .averageOverTime: average(window.values)
        case .stdvarOverTime: variance(window.values)
        case .stddevOverTime: variance(window.values).squareRoot()
        default: nil
        }
    }

    /// What a counter or gauge did in the window: between its first and last sample, carried on to both ends unless
    /// they are 1.1 sample distances away or more; then by half a distance. A counter is not carried below zero.
    private static func extrapolated(_ window: RangeWindow, isCounter: Bool, isPerSecond: Bool) -> Double? {
        guard window.values.count >= 2, let first = window.values.first, let last = window.values.last,
            let start = window.timestamps.first, let end = window.timestamps.last
        else { return nil }
        var change = last - first
        if isCounter {
            var before = first
            for value in window.values {
                if value < before { change += before }
                before = value
            }
        }
        var toStart = Double(start - window.from) / 1_000
        let toEnd = Double(window.through - end) / 1_000
        let covered = Double(end - start) / 1_000
        let distance = covered / Double(window.values.count - 1)
        if isCounter, change > 0, first >= 0 { toStart = min(toStart, covered * (first / change)) }
        let threshold = distance * 1.1
        let extended =
            covered + (toStart < threshold ? toStart : distance / 2) + (toEnd < threshold ? toEnd : distance / 2)
        var factor = extended / covered
        if isPerSecond { factor /= Double(window.through - window.from) / 1_000 }
        return change * factor
    }

    private static func lastDifference(_ window: RangeWindow, isRate: Bool) -> Double? {
        guard window.values.count >= 2 else { return nil }
        let (times, values) = (window.timestamps.suffix(2), window.values.suffix(2))
        guard let before = values.first, let last = values.last, let from = times.first, let to = times.last, to > from
        else { return nil }
        let change = isRate && last < before ? last : last - before
        return isRate ? change / (Double(to - from) / 1_000) : change
    }

    private static func count(_ values: ArraySlice<Double>, _ isEvent: (Double, Double) -> Bool) -> Int {
        zip(values, values.dropFirst()).count { isEvent($0, $1) }
    }

    /// NaN only when every value is.
    private static func extreme(_ values: ArraySlice<Double>, _ isBetter: (Double, Double) -> Bool) -> Double? {
        guard var best = values.first else { return nil }
        for value in values where isBetter(value, best) || best.isNaN { best = value }
        return best
    }

    private static func sum(_ values: ArraySlice<Double>) -> Double {
        var sum = CompensatedSum()
        for value in values { sum.add(value) }
        return sum.sum.isInfinite ? sum.sum : sum.total
    }

    /// Kept as a mean all along, so that large values do not overflow.
    private static func average(_ values: ArraySlice<Double>) -> Double {
        var mean = CompensatedSum()
        var count = 0.0
        for value in values {
            count += 1
            if mean.sum.isInfinite {
                // An infinite mean stays, unless the other infinity or NaN comes.
                if value.isInfinite, (mean.sum > 0) == (value > 0) { continue }
                if value.isFinite { continue }
            }
            mean.add(value / count - mean.sum / count)
        }
        return mean.sum.isInfinite ? mean.sum : mean.total
    }

    private static func variance(_ values: ArraySlice<Double>) -> Double {
        var (mean, squares) = (CompensatedSum(), CompensatedSum())
        var count = 0.0
        for value in values {
            count += 1
            let delta = value - mean.total
            mean.add(delta / count)
            squares.add(delta * (value - mean.total))
        }
        return squares.total / count
    }
}
