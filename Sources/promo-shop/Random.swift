internal import Glibc

/// A small seeded generator (xoshiro256**): the same seed gives the same day in the shop.
struct Random: RandomNumberGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter stream: independent sequences of one seed, for example one a request.
    init(seed: UInt64, stream: UInt64 = 0) {
        var mixer = seed &+ stream &* 0xD1B5_4A32_D192_ED03
        func mixed() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var word = mixer
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
        state = (mixed(), mixed(), mixed(), mixed() | 1)
    }

    mutating func next() -> UInt64 {
        let scrambled = (state.1 &* 5)
        let result = (scrambled << 7 | scrambled >> 57) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// Uniform in 0..<1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in 0..<bound.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(max(1, bound))).high) }

    mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// Mean 1.
    mutating func exponential() -> Double { -log(1 - unit()) }

    /// Long-tailed around `median`; `sigma` 0.6 puts p99 at four times the median.
    mutating func logNormal(median: Double, sigma: Double) -> Double {
        let radius = (2 * exponential()).squareRoot()
        return median * exp(sigma * radius * cos(2 * .pi * unit()))
    }

    /// At least 1; the smaller `alpha`, the longer the tail.
    mutating func pareto(alpha: Double) -> Double { pow(1 - unit(), -1 / alpha) }
}
