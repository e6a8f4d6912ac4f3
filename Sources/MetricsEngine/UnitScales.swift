/// The factors by which one shard's values are multiplied, numbered so that a bound key holds the number beside its
/// series: a scale belongs to the key, as several keys may lead to one series. Zero is "as it is".
struct UnitScales {
    private var factors: [Double] = [1]
    /// 1 / factor where that is a whole number: dividing by 1,000 is exact to the last bit where 0.001 is not.
    private var divisors: [Double] = [0]

    /// Factors of one shard that fit beside a series' number; values of further ones are recorded as they are.
    private static let largestCount = 62

    mutating func index(of factor: Double) -> UInt32 {
        if factor == 1 || !factor.isFinite { return 0 }
        if let known = factors.firstIndex(of: factor) { return UInt32(known) }
        guard factors.count < Self.largestCount else { return 0 }
        let inverse = (1 / factor).rounded()
        factors.append(factor)
        divisors.append(inverse >= 2 && 1 / inverse == factor ? inverse : 0)
        return UInt32(factors.count - 1)
    }

    func scaled(_ value: Double, _ index: UInt32) -> Double {
        let divisor = divisors[Int(index)]
        return divisor > 0 ? value / divisor : value * factors[Int(index)]
    }
}
