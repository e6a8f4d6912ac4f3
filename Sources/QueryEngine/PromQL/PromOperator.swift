internal import Glibc

/// Binary operators.
enum PromOperator: String, Hashable, Sendable {
    case or, and, unless
    case equal = "=="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divided = "/"
    case modulo = "%"
    case atan2
    case power = "^"

    /// Higher binds tighter.
    var precedence: Int {
        switch self {
        case .or: 1
        case .and, .unless: 2
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: 3
        case .plus, .minus: 4
        case .times, .divided, .modulo, .atan2: 5
        case .power: 6
        }
    }

    var isRightAssociative: Bool { self == .power }
    var isSetOperator: Bool { precedence <= 2 }
    var isComparison: Bool { precedence == 3 }
    /// Arithmetic makes another metric of it, so the name goes.
    var dropsName: Bool { precedence > 3 && self != .atan2 }

    /// The value of arithmetic; of a comparison the left value.
    func value(_ left: Double, _ right: Double) -> Double {
        switch self {
        case .plus: left + right
        case .minus: left - right
        case .times: left * right
        case .divided: left / right
        case .modulo: fmod(left, right)
        case .power: pow(left, right)
        case .atan2: Glibc.atan2(left, right)
        default: left
        }
    }

    /// True for everything that is no comparison.
    func holds(_ left: Double, _ right: Double) -> Bool {
        switch self {
        case .equal: left == right
        case .notEqual: left != right
        case .less: left < right
        case .lessOrEqual: left <= right
        case .greater: left > right
        case .greaterOrEqual: left >= right
        default: true
        }
    }
}

/// Aggregation operators.
enum PromAggregator: String, Hashable, Sendable {
    case sum, avg, count, min, max, group, stddev, stdvar, topk, bottomk, quantile
    case countValues = "count_values"

    /// The type of the parameter before the vector; nil when there is none.
    var parameterType: PromType? {
        switch self {
        case .topk, .bottomk, .quantile: .scalar
        case .countValues: .string
        default: nil
        }
    }
}
