/// A pattern as instructions of a machine that follows all its threads at once.
struct RegexProgram: Sendable {
    enum Instruction: Hashable, Sendable {
        case scalar(UInt32)
        /// Index into `sets`.
        case set(Int)
        /// Two threads; the first is preferred.
        case split(Int, Int)
        case jump(Int)
        case save(Int)
        case assertion(RegexAssertion)
        case match
    }

    static let mostInstructions = 2_000

    private(set) var code: [Instruction] = []
    private(set) var sets: [ScalarSet] = []

    init(_ node: RegexNode) throws(RegexError) {
        try emit(.save(0))
        try compile(node)
        try emit(.save(1))
        try emit(.match)
    }

    private mutating func emit(_ instruction: Instruction) throws(RegexError) {
        guard code.count < Self.mostInstructions else {
            throw RegexError(message: "the pattern grows beyond \(Self.mostInstructions) steps", offset: 0)
        }
        code.append(instruction)
    }

    private mutating func compile(_ node: RegexNode) throws(RegexError) {
        switch node {
        case .empty: break
        case .scalars(let set): try emit(set)
        case .assertion(let assertion): try emit(.assertion(assertion))
        case .sequence(let nodes): for node in nodes { try compile(node) }
        case .group(let node, let index):
            try emit(.save(index * 2))
            try compile(node)
            try emit(.save(index * 2 + 1))
        case .alternatives(let nodes): try compile(alternatives: nodes)
        case .repetition(let node, let least, let most, let isGreedy):
            try compile(node, least: least, most: most, isGreedy: isGreedy)
        }
    }

    private mutating func emit(_ set: ScalarSet) throws(RegexError) {
        if set.ranges.count == 1, set.ranges[0].count == 1 { return try emit(.scalar(set.ranges[0].lowerBound)) }
        if let known = sets.firstIndex(of: set) { return try emit(.set(known)) }
        sets.append(set)
        try emit(.set(sets.count - 1))
    }

    private mutating func compile(alternatives nodes: [RegexNode]) throws(RegexError) {
        var exits: [Int] = []
        for (index, node) in nodes.enumerated() {
            guard index + 1 < nodes.count else {
                try compile(node)
                break
            }
            let split = code.count
            try emit(.split(split + 1, 0))
            try compile(node)
            exits.append(code.count)
            try emit(.jump(0))
            code[split] = .split(split + 1, code.count)
        }
        for exit in exits { code[exit] = .jump(code.count) }
    }

    private mutating func compile(
        _ node: RegexNode, least: Int, most: Int?, isGreedy: Bool
    ) throws(RegexError) {
        for _ in 0..<least {
            let before = code.count
            try compile(node)
            // What emits nothing matches the empty text, however often.
            if code.count == before { return }
        }
        guard let most else {
            if least > 0 { return try loop(node, isGreedy, atLeastOnce: false) }
            return try loop(node, isGreedy, atLeastOnce: node.isNullable)
        }
        var exits: [Int] = []
        for _ in least..<max(most, least) {
            exits.append(code.count)
            try emit(.split(0, 0))
            let before = code.count
            try compile(node)
            if code.count == before { break }
        }
        for exit in exits { code[exit] = branch(to: exit + 1, or: code.count, isGreedy) }
    }

    /// `x*`; as `(x+)?` when x may be empty, so that one empty round is tried and no second.
    private mutating func loop(_ node: RegexNode, _ isGreedy: Bool, atLeastOnce: Bool) throws(RegexError) {
        let start = code.count
        try emit(.split(0, 0))
        try compile(node)
        if atLeastOnce {
            let again = code.count
            try emit(.split(0, 0))
            code[again] = branch(to: start + 1, or: code.count, isGreedy)
        } else {
            try emit(.jump(start))
        }
        code[start] = branch(to: start + 1, or: code.count, isGreedy)
    }

    private func branch(to body: Int, or exit: Int, _ isGreedy: Bool) -> Instruction {
        isGreedy ? .split(body, exit) : .split(exit, body)
    }
}
