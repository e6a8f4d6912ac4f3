/// An expression, parsed and checked: names resolved, types right, patterns good.
///
/// The nodes lie in one array, children before their parents, so that no input can make it deep to release.
package struct PromExpression: Sendable {
    struct Node: Sendable {
        var kind: Kind
        var type: PromType
        /// Bytes of the text.
        var range: Range<Int>
        /// 1 for a leaf; bounded by `Limits.queryNesting`.
        var height: Int
    }

    /// Children are indices into ``nodes``.
    enum Kind: Sendable {
        case number(Double)
        case string(String)
        case instant(PromSelector)
        case range(PromSelector, milliseconds: Int64)
        case negation(Int)
        case binary(PromBinary)
        case aggregation(PromAggregation)
        case call(PromFunction, [Int])
    }

    var nodes: [Node]
    var root: Int

    /// What the whole gives.
    package var type: PromType { nodes[root].type }

    /// - Throws: the first defect and its place.
    package init(parsing text: String) throws(PromParseError) {
        var parser = try PromParser(text)
        self = try parser.parse()
    }

    /// The matchers of a text that is an instant selector and nothing else.
    package static func selector(parsing text: String) throws(PromParseError) -> [LabelMatcher] {
        let expression = try PromExpression(parsing: text)
        guard case .instant(let selector) = expression.nodes[expression.root].kind, selector.offset == nil,
            selector.at == nil
        else { throw PromParseError("a selector is wanted here", at: 0, in: Array(text.utf8)) }
        return selector.matchers
    }

    init(nodes: [Node], root: Int) {
        self.nodes = nodes
        self.root = root
    }
}

package enum PromType: String, Hashable, Sendable {
    case scalar
    case string
    case vector
    case matrix

    /// As error messages call it.
    var title: String {
        switch self {
        case .scalar: "scalar"
        case .string: "string"
        case .vector: "instant vector"
        case .matrix: "range vector"
        }
    }
}

/// What chooses series and, relative to the time of evaluation, when to look at them.
struct PromSelector: Sendable {
    enum Instant: Hashable, Sendable {
        /// Unix milliseconds.
        case time(Int64)
        case start
        case end
    }

    var matchers: [LabelMatcher]
    /// Milliseconds back.
    var offset: Int64?
    /// The time instead of that of evaluation: `@`.
    var at: Instant?
}

struct PromBinary: Sendable {
    var operation: PromOperator
    var left: Int
    var right: Int
    /// Comparisons give 1 and 0 rather than filter.
    var returnsBool = false
    var matching = PromMatching()
}

/// Which elements of two vectors belong together.
struct PromMatching: Sendable {
    enum Cardinality: Sendable {
        case oneToOne
        /// `group_left`: many elements on the left to one on the right.
        case manyToOne
        case oneToMany
    }

    /// `on`, else `ignoring`.
    var isOn = false
    var labels: [String] = []
    var cardinality = Cardinality.oneToOne
    /// Labels that the result takes from the side of the one.
    var included: [String] = []
}

struct PromAggregation: Sendable {
    var operation: PromAggregator
    var operand: Int
    var parameter: Int?
    /// `without`, else `by`.
    var isWithout = false
    var labels: [String] = []
}
