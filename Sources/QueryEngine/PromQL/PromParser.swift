internal import Telemetry

/// Reads an expression by operator precedence. Recursion is bounded by `Limits.queryNesting`, as is the height of the
/// tree, so that a later walk over it is bounded too.
///
/// Each rule returns the index of the node it made.
struct PromParser {
    let text: [UInt8]
    private let tokens: [PromToken]
    private var position = 0
    private var depth = 0
    var nodes: [PromExpression.Node] = []

    init(_ text: String) throws(PromParseError) {
        self.text = Array(text.utf8)
        guard self.text.count <= Limits.queryTextBytes else {
            throw PromParseError("longer than \(Limits.queryTextBytes) bytes", at: Limits.queryTextBytes, in: self.text)
        }
        tokens = try PromLexer.tokens(of: self.text)
    }

    mutating func parse() throws(PromParseError) -> PromExpression {
        if peek.kind == .end { throw error("no expression found in input") }
        let root = try expression(above: 0)
        guard peek.kind == .end else { throw unexpected("the end of the expression") }
        return PromExpression(nodes: nodes, root: root)
    }

    // MARK: Words

    var peek: PromToken { tokens[position] }

    /// The word after the next one; the end stays the end.
    var peekSecond: PromToken { tokens[min(position + 1, tokens.count - 1)] }

    mutating func advance() { if position + 1 < tokens.count { position += 1 } }

    func spelled(_ token: PromToken) -> String { String(decoding: text[token.range], as: UTF8.self) }

    /// The next word in lower case when it is one: keywords come in any case.
    var keyword: String? { peek.kind == .word ? spelled(peek).lowercased() : nil }

    func looksAt(_ symbol: String) -> Bool { peek.kind == .symbol(symbol) }

    mutating func take(_ symbol: String) -> Bool {
        guard looksAt(symbol) else { return false }
        advance()
        return true
    }

    mutating func expect(_ symbol: String, in place: String) throws(PromParseError) {
        guard take(symbol) else { throw unexpected("\"\(symbol)\" in \(place)") }
    }

    func error(_ message: String, at offset: Int? = nil) -> PromParseError {
        PromParseError(message, at: offset ?? peek.range.lowerBound, in: text)
    }

    func unexpected(_ expected: String) -> PromParseError {
        let found = peek.kind == .end ? "end of input" : spelled(peek).debugDescription
        return error("unexpected \(found), expected \(expected)")
    }

    // MARK: Rules

    /// Operators that bind tighter than `precedence`, and what is between them.
    mutating func expression(above precedence: Int) throws(PromParseError) -> Int {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Limits.queryNesting else { throw tooDeep(at: peek.range.lowerBound) }
        var left = try operand()
        while let operation = nextOperator, operation.precedence > precedence {
            let start = peek.range.lowerBound
            advance()
            var binary = PromBinary(operation: operation, left: left, right: 0)
            let hasMatching = try modifiers(of: &binary)
            let tighter = operation.isRightAssociative ? operation.precedence - 1 : operation.precedence
            binary.right = try expression(above: tighter)
            left = try checked(binary, hasMatching: hasMatching, operatorAt: start)
        }
        return left
    }

    private var nextOperator: PromOperator? {
        switch peek.kind {
        case .symbol(let symbol): PromOperator(rawValue: symbol)
        case .word: keyword.flatMap(PromOperator.init(rawValue:))
        default: nil
        }
    }

    /// A sign or a primary with its suffixes. A sign binds as `*` does: only `^` goes before it.
    private mutating func operand() throws(PromParseError) -> Int {
        let start = peek.range.lowerBound
        guard looksAt("-") || looksAt("+") else { return try suffixes(of: primary()) }
        let isNegative = take("-")
        if !isNegative { advance() }
        let operand = try expression(above: PromOperator.times.precedence)
        let type = nodes[operand].type
        guard type == .scalar || type == .vector else {
            let wanted = "unary expression only allowed on expressions of type scalar or instant vector"
            throw error("\(wanted), got \"\(type.title)\"", at: start)
        }
        return isNegative ? try add(.negation(operand), type, from: start, children: [operand]) : operand
    }

    private mutating func primary() throws(PromParseError) -> Int {
        let token = peek
        let start = token.range.lowerBound
        switch token.kind {
        case .number(let value):
            advance()
            return try add(.number(value), .scalar, from: start)
        case .string(let value):
            advance()
            return try add(.string(value), .string, from: start)
        case .symbol("("):
            advance()
            let inner = try expression(above: 0)
            try expect(")", in: "parentheses")
            // An offset or a range behind the parenthesis must not reach the selector in it.
            return inner
        case .symbol("{"): return try selector()
        case .word: return try word()
        default: throw unexpected("an expression")
        }
    }

    private mutating func word() throws(PromParseError) -> Int {
        let token = peek
        let name = spelled(token)
        switch name.lowercased() {
        case "inf", "nan":
            advance()
            let value = name.lowercased() == "inf" ? Double.infinity : .nan
            return try add(.number(value), .scalar, from: token.range.lowerBound)
        case let word where PromAggregator(rawValue: word) != nil && startsAggregation:
            return try aggregation()
        case "and", "or", "unless", "atan2", "bool", "on", "ignoring", "group_left", "group_right":
            throw unexpected("an expression")
        default:
            return peekSecond.kind == .symbol("(") ? try call() : try selector()
        }
    }

    private var startsAggregation: Bool {
        if peekSecond.kind == .symbol("(") { return true }
        guard peekSecond.kind == .word else { return false }
        return ["by", "without"].contains(spelled(peekSecond).lowercased())
    }

    // MARK: Nodes

    private func tooDeep(at offset: Int) -> PromParseError {
        error("nested more than \(Limits.queryNesting) levels deep", at: offset)
    }

    /// Adds a node that ends before the next word.
    mutating func add(
        _ kind: PromExpression.Kind, _ type: PromType, from start: Int, children: [Int] = []
    ) throws(PromParseError) -> Int {
        let height = 1 + (children.map { nodes[$0].height }.max() ?? 0)
        guard height <= Limits.queryNesting else { throw tooDeep(at: start) }
        let range = start..<max(start, previousEnd)
        nodes.append(PromExpression.Node(kind: kind, type: type, range: range, height: height))
        return nodes.count - 1
    }

    /// Where the last word that was read ends.
    var previousEnd: Int { position > 0 ? tokens[position - 1].range.upperBound : 0 }

    func start(of node: Int) -> Int { nodes[node].range.lowerBound }
}
