/// The factors by which one shard's values are multiplied, numbered so that a cell holds one byte.
struct UnitScales {
    private var factors: [Double] = [1]
    /// 1 / factor where that is a whole number: dividing by 1,000 is exact to the last bit where 0.001 is not.
    private var divisors: [Double] = [0]

    /// Factors of one shard; more: the last ones share no number and are applied as 1.
    private static let largestCount = 255

    mutating func index(of factor: Double) -> UInt8 {
        if factor == 1 || !factor.isFinite { return 0 }
        if let known = factors.firstIndex(of: factor) { return UInt8(known) }
        guard factors.count < Self.largestCount else { return 0 }
        let inverse = (1 / factor).rounded()
        factors.append(factor)
        divisors.append(inverse >= 2 && 1 / inverse == factor ? inverse : 0)
        return UInt8(factors.count - 1)
    }

    @inline(__always)
    func scaled(_ value: Double, _ index: UInt8) -> Double {
        if index == 0 { return value }
        return scaledSlowly(value, Int(index))
    }

    @inline(never)
    private func scaledSlowly(_ value: Double, _ index: Int) -> Double {
        let divisor = divisors[index]
        return divisor > 0 ? value / divisor : value * factors[index]
    }
}
