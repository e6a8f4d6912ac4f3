/// Why a pattern was refused.
package struct RegexError: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    /// In Unicode scalars from the start of the pattern.
    package let offset: Int

    package var description: String { "\(message) at character \(offset + 1)" }
}

/// What a pattern means, before it is compiled.
indirect enum RegexNode {
    case empty
    case scalars(ScalarSet)
    case sequence([RegexNode])
    /// Earlier ones are preferred.
    case alternatives([RegexNode])
    /// `most` nil: without end.
    case repetition(RegexNode, least: Int, most: Int?, isGreedy: Bool)
    case group(RegexNode, index: Int)
    case assertion(RegexAssertion)

    var isNullable: Bool {
        switch self {
        case .empty, .assertion: true
        case .scalars: false
        case .sequence(let nodes): nodes.allSatisfy(\.isNullable)
        case .alternatives(let nodes): nodes.contains(where: \.isNullable)
        case .repetition(let node, let least, _, _): least == 0 || node.isNullable
        case .group(let node, _): node.isNullable
        }
    }
}

/// A condition on a place between two characters.
enum RegexAssertion: Hashable, Sendable {
    case start
    case end
    case wordBoundary
    case notWordBoundary
}

/// A set of Unicode scalars as ascending ranges that do not touch.
struct ScalarSet: Hashable, Sendable {
    private(set) var ranges: [ClosedRange<UInt32>]

    static let last: UInt32 = 0x10_ffff

    init(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let open = self.ranges.last, range.lowerBound <= open.upperBound &+ 1 {
                self.ranges[self.ranges.count - 1] =
                    open.lowerBound...max(open.upperBound, range.upperBound)
            } else {
                self.ranges.append(range)
            }
        }
    }

    func contains(_ scalar: UInt32) -> Bool {
        for range in ranges where scalar <= range.upperBound { return scalar >= range.lowerBound }
        return false
    }

    var inverted: ScalarSet {
        var gaps: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...(range.lowerBound - 1)) }
            next = range.upperBound &+ 1
        }
        if next <= Self.last { gaps.append(next...Self.last) }
        return ScalarSet(gaps)
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    /// With the other case of every ASCII letter.
    var ignoringCase: ScalarSet {
        var added: [ClosedRange<UInt32>] = []
        for range in ranges {
            for (low, high, shift) in [(UInt32(0x41), UInt32(0x5a), Int32(32)), (0x61, 0x7a, -32)] {
                let from = max(range.lowerBound, low)
                let to = min(range.upperBound, high)
                if from <= to { added.append(UInt32(Int32(from) + shift)...UInt32(Int32(to) + shift)) }
            }
        }
        return ScalarSet(ranges + added)
    }

    static let digits = ScalarSet([0x30...0x39])
    static let word = ScalarSet([0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a])
    static let space = ScalarSet([0x09...0x0a, 0x0c...0x0d, 0x20...0x20])
    static let notNewline = ScalarSet([0x0a...0x0a]).inverted
    static let everything = ScalarSet([0...last])

    /// The set of `[:name:]`.
    static func named(_ name: String) -> ScalarSet? {
        switch name {
        case "alpha": ScalarSet([0x41...0x5a, 0x61...0x7a])
        case "digit": digits
        case "alnum": ScalarSet([0x30...0x39, 0x41...0x5a, 0x61...0x7a])
        case "upper": ScalarSet([0x41...0x5a])
        case "lower": ScalarSet([0x61...0x7a])
        case "space": ScalarSet([0x09...0x0d, 0x20...0x20])
        case "punct": ScalarSet([0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e])
        case "xdigit": ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])
        case "word": word
        default: nil
        }
    }
}
