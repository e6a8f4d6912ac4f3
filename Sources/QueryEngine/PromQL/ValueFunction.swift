internal import Glibc

/// Functions of one value.
enum ValueFunction {
    /// - Parameter parameters: the scalar arguments.
    static func value(_ function: PromFunction, _ value: Double, _ parameters: [Double]) -> Double {
        switch function {
        case .abs: value.magnitude
        case .ceil: Glibc.ceil(value)
        case .floor: Glibc.floor(value)
        case .exp: Glibc.exp(value)
        case .ln: Glibc.log(value)
        case .log2: Glibc.log2(value)
        case .log10: Glibc.log10(value)
        case .sqrt: value.squareRoot()
        case .sgn: value < 0 ? -1 : value > 0 ? 1 : value
        case .round: rounded(value, to: parameters.first ?? 1)
        case .clamp: largest(parameters[0], smallest(parameters[1], value))
        case .clampMin: largest(parameters[0], value)
        case .clampMax: smallest(parameters[0], value)
        default: .nan
        }
    }

    /// To the nearest multiple, halves upwards. The inverse avoids errors for steps such as 0.1.
    private static func rounded(_ value: Double, to step: Double) -> Double {
        let inverse = 1 / step
        return Glibc.floor(value * inverse + 0.5) / inverse
    }

    /// NaN when either is.
    private static func largest(_ one: Double, _ other: Double) -> Double {
        one.isNaN || other.isNaN
            ? (one.isInfinite && one > 0 || other.isInfinite && other > 0 ? .infinity : .nan)
            : Swift.max(one, other)
    }

    private static func smallest(_ one: Double, _ other: Double) -> Double {
        one.isNaN || other.isNaN
            ? (one.isInfinite && one < 0 || other.isInfinite && other < 0 ? -.infinity : .nan)
            : Swift.min(one, other)
    }
}
