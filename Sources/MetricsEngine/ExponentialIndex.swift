internal import Glibc

/// Finds the base-2 exponential bucket of a value: bucket `i` of schema `s` holds `(2^((i-1)/2^s), 2^(i/2^s)]`.
///
///     slice: the upper 9 bits of the mantissa -> how many bounds lie below the slice (at most one lies inside it)
///     bound: mantissa bits of 2^(k/256), k = 0...256
///
/// Values are recorded at schema 8; coarser schemas follow by ``downscaled(_:by:)``. Indexes fit 16 bits: values
/// below 2^-126 count as zero and values above 2^126 share the last bucket. The tables live as long as the process.
struct ExponentialIndex: @unchecked Sendable {
    static let schema = 8
    /// The bucket of zero and of everything below it.
    static let zeroIndex = Int16.min + 1
    static let largestExponent = 126

    static let shared = ExponentialIndex()

    private let slices: UnsafeMutablePointer<UInt16>
    private let bounds: UnsafeMutablePointer<UInt64>

    private init() {
        let count = 1 << Self.schema
        bounds = .allocate(capacity: count + 1)
        slices = .allocate(capacity: count * 2)
        let mantissaMask: UInt64 = (1 << 52) - 1
        for index in 0..<count {
            bounds[index] = exp2(Double(index) / Double(count)).bitPattern & mantissaMask
        }
        bounds[count] = 1 << 52
        var below = 0
        for slice in 0..<(count * 2) {
            let start = UInt64(slice) << (52 - 9)
            while bounds[below] < start { below += 1 }
            slices[slice] = UInt16(below)
        }
    }

    /// The schema-8 bucket of `value`.
    @inline(__always)
    func index(of value: Double) -> Int16 {
        let bits = value.bitPattern
        let exponent = Int(truncatingIfNeeded: bits >> 52) &- 1_023  // the sign bit makes it huge
        if exponent < -Self.largestExponent || exponent >= Self.largestExponent { return outlier(value) }
        let mantissa = bits & ((1 << 52) - 1)
        var offset = Int(slices[Int(truncatingIfNeeded: mantissa >> 43)])
        if mantissa > bounds[offset] { offset &+= 1 }
        return Int16(truncatingIfNeeded: (exponent << Self.schema) &+ offset)
    }

    @inline(never)
    private func outlier(_ value: Double) -> Int16 {
        value > 1 ? Int16(Self.largestExponent << Self.schema) : Self.zeroIndex
    }

    /// The bucket of a coarser schema that holds bucket `index`; `steps` is the difference of the schemas.
    @inline(__always)
    static func downscaled(_ index: Int16, by steps: Int) -> Int16 {
        index == zeroIndex ? index : Int16(truncatingIfNeeded: ((Int(index) &- 1) >> steps) &+ 1)
    }

    /// The inclusive upper bound of a bucket. Whole powers of two are exact.
    static func upperBound(of index: Int, schema: Int) -> Double { exp2(Double(index) * exp2(-Double(schema))) }

    /// The value that stands for a bucket with the least worst-case relative error, (b-1)/(b+1) for growth factor b.
    static func middle(of index: Int16, schema: Int) -> Double {
        if index == zeroIndex { return 0 }
        let scale = exp2(-Double(schema))
        let low = exp2((Double(index) - 1) * scale)
        let high = exp2(Double(index) * scale)
        return 2 * low * high / (low + high)
    }
}
