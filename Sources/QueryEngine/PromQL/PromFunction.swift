/// The functions that are supported.
enum PromFunction: String, Hashable, Sendable, CaseIterable {
    case rate, increase, irate, delta, idelta, deriv, changes, resets
    case predictLinear = "predict_linear"
    case averageOverTime = "avg_over_time"
    case minOverTime = "min_over_time"
    case maxOverTime = "max_over_time"
    case sumOverTime = "sum_over_time"
    case countOverTime = "count_over_time"
    case lastOverTime = "last_over_time"
    case presentOverTime = "present_over_time"
    case stddevOverTime = "stddev_over_time"
    case stdvarOverTime = "stdvar_over_time"
    case quantileOverTime = "quantile_over_time"
    case absentOverTime = "absent_over_time"
    case abs, ceil, floor, exp, ln, log2, log10, sqrt, sgn, round, clamp
    case clampMin = "clamp_min"
    case clampMax = "clamp_max"
    case time, timestamp, scalar, vector, absent, sort, pi
    case sortDescending = "sort_desc"
    case histogramQuantile = "histogram_quantile"
    case labelReplace = "label_replace"
    case labelJoin = "label_join"

    struct Signature {
        var arguments: [PromType]
        /// Arguments at the end that may be left out.
        var optional = 0
        /// The last one may come again and again.
        var repeatsLast = false
        var result = PromType.vector
    }

    var signature: Signature {
        switch self {
        case .time, .pi: Signature(arguments: [], result: .scalar)
        case .scalar: Signature(arguments: [.vector], result: .scalar)
        case .vector: Signature(arguments: [.scalar])
        case .predictLinear: Signature(arguments: [.matrix, .scalar])
        case .quantileOverTime: Signature(arguments: [.scalar, .matrix])
        case .histogramQuantile: Signature(arguments: [.scalar, .vector])
        case .round: Signature(arguments: [.vector, .scalar], optional: 1)
        case .clamp: Signature(arguments: [.vector, .scalar, .scalar])
        case .clampMin, .clampMax: Signature(arguments: [.vector, .scalar])
        case .labelReplace: Signature(arguments: [.vector, .string, .string, .string, .string])
        case .labelJoin: Signature(arguments: [.vector, .string, .string, .string], optional: 1, repeatsLast: true)
        case .abs, .ceil, .floor, .exp, .ln, .log2, .log10, .sqrt, .sgn, .timestamp, .absent, .sort, .sortDescending:
            Signature(arguments: [.vector])
        case .rate, .increase, .irate, .delta, .idelta, .deriv, .changes, .resets, .averageOverTime, .minOverTime,
            .maxOverTime, .sumOverTime, .countOverTime, .lastOverTime, .presentOverTime, .stddevOverTime,
            .stdvarOverTime, .absentOverTime:
            Signature(arguments: [.matrix])
        }
    }

    /// Functions of Prometheus 2.42 that are not here: their name gets an answer of its own.
    static let unsupported: Set<String> = [
        "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "day_of_month", "day_of_week",
        "day_of_year", "days_in_month", "deg", "histogram_count", "histogram_fraction", "histogram_sum",
        "holt_winters", "hour", "minute", "month", "rad", "sin", "sinh", "tan", "tanh", "year",
    ]
}
