internal import Glibc

/// The quantile of a few values, interpolated between neighbours.
enum PromQuantile {
    /// Below 0 and above 1 the infinities; NaN for no value.
    static func value(_ quantile: Double, of values: [Double]) -> Double {
        if values.isEmpty || quantile.isNaN { return .nan }
        if quantile < 0 { return -.infinity }
        if quantile > 1 { return .infinity }
        let sorted = values.sorted(by: PromSorting.isLess)
        let rank = quantile * Double(sorted.count - 1)
        let lower = Glibc.floor(rank)
        let weight = rank - lower
        let index = min(max(Int(lower), 0), sorted.count - 1)
        return sorted[index] * (1 - weight) + sorted[min(index + 1, sorted.count - 1)] * weight
    }
}

/// Orders of values in which NaN has a place.
enum PromSorting {
    /// NaN comes before everything.
    static func isLess(_ one: Double, _ other: Double) -> Bool {
        one.isNaN ? !other.isNaN : one < other
    }

    /// Stable; NaN comes last either way.
    static func sorted(_ vector: [PromSample], isAscending: Bool) -> [PromSample] {
        let places = vector.indices.sorted { one, other in
            let (left, right) = (vector[one].value, vector[other].value)
            if left.isNaN || right.isNaN { return left.isNaN == right.isNaN ? one < other : right.isNaN }
            if left == right { return one < other }
            return isAscending ? left < right : left > right
        }
        return places.map { vector[$0] }
    }
}
