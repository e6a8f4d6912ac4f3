/// A regular expression whose matching time grows with text times pattern and never faster.
///
/// Thompson's construction run by Pike's machine: all alternatives are followed at once, each instruction at most once
/// a character, so no pattern and no text makes it explode. Of several matches it takes the one a backtracking engine
/// would (earlier alternatives and greedy repeats first). Limits: 1,024 characters of pattern, 2,000 instructions,
/// 64 groups, 64 levels.
package struct LinearRegex: Sendable, CustomStringConvertible {
    package static let longestPattern = 1_024

    /// The pattern as given.
    package let description: String
    /// Names of the groups, the whole match first.
    package let groupNames: [String?]
    private let program: RegexProgram
    private let isAnchored: Bool

    /// A match: the texts of the groups, the whole match first; nil where a group took no part.
    package struct Match: Hashable, Sendable {
        package let groups: [String?]
    }

    /// - Parameter anchored: the whole text must match, as Prometheus has it; else any part of it may.
    package init(_ pattern: String, anchored: Bool = true) throws(RegexError) {
        guard pattern.unicodeScalars.count <= Self.longestPattern else {
            throw RegexError(message: "longer than \(Self.longestPattern) characters", offset: Self.longestPattern)
        }
        var parser = RegexParser(pattern)
        program = try RegexProgram(try parser.parse())
        groupNames = parser.groupNames
        description = pattern
        isAnchored = anchored
    }

    package var groupCount: Int { groupNames.count - 1 }

    package func matches(_ text: String) -> Bool { firstMatch(in: text) != nil }

    /// The match that begins first.
    package func firstMatch(in text: String) -> Match? {
        let scalars = Array(text.unicodeScalars)
        var machine = PikeMachine(program, text: scalars.map(\.value), slots: groupNames.count * 2)
        guard let saved = machine.run(isAnchored: isAnchored) else { return nil }
        let groups = (0..<groupNames.count).map { index -> String? in
            let (start, end) = (saved[index * 2], saved[index * 2 + 1])
            guard start >= 0, end >= start else { return nil }
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars[start..<end])
            return String(view)
        }
        return Match(groups: groups)
    }
}

/// The threads of one run.
private struct PikeMachine {
    /// Threads in order of preference, each instruction at most once.
    private struct Threads {
        var order: [Int] = []
        var isIn: [Bool]
        /// `slots` numbers an instruction.
        var saved: [Int]

        mutating func add(_ place: Int, _ values: [Int]) {
            guard !isIn[place] else { return }
            isIn[place] = true
            order.append(place)
            for slot in values.indices { saved[place * values.count + slot] = values[slot] }
        }

        mutating func clear() {
            for place in order { isIn[place] = false }
            order.removeAll(keepingCapacity: true)
        }
    }

    private enum Step {
        case visit(Int)
        case restore(slot: Int, value: Int)
    }

    private let program: RegexProgram
    private let text: [UInt32]
    private let slots: Int
    private var current: Threads
    private var next: Threads
    private var stack: [Step] = []
    /// Places of the assertions and jumps that a closure has already passed.
    private var visited: [Bool]
    private var visitedList: [Int] = []

    init(_ program: RegexProgram, text: [UInt32], slots: Int) {
        self.program = program
        self.text = text
        self.slots = slots
        let empty = Threads(
            isIn: Array(repeating: false, count: program.code.count),
            saved: Array(repeating: -1, count: program.code.count * slots))
        current = empty
        next = empty
        visited = Array(repeating: false, count: program.code.count)
    }

    mutating func run(isAnchored: Bool) -> [Int]? {
        var found: [Int]?
        let none = Array(repeating: -1, count: slots)
        for position in 0...text.count {
            if found == nil, position == 0 || !isAnchored {
                add(0, at: position, saved: none, isNext: false)
            }
            finishClosure()
            if current.order.isEmpty, isAnchored || found != nil { break }
            step(at: position, isAnchored: isAnchored, &found)
            swap(&current, &next)
            next.clear()
        }
        return found
    }

    private mutating func step(at position: Int, isAnchored: Bool, _ found: inout [Int]?) {
        for place in current.order {
            let saved = Array(current.saved[(place * slots)..<(place * slots + slots)])
            switch program.code[place] {
            case .match:
                if isAnchored, position != text.count { continue }
                found = saved
                finishClosure()
                return
            case .scalar(let wanted):
                if position < text.count, text[position] == wanted {
                    add(place + 1, at: position + 1, saved: saved, isNext: true)
                }
            case .set(let index):
                if position < text.count, program.sets[index].contains(text[position]) {
                    add(place + 1, at: position + 1, saved: saved, isNext: true)
                }
            case .split, .jump, .save, .assertion: break
            }
        }
        finishClosure()
    }

    /// Follows everything that consumes no character, in order of preference.
    private mutating func add(_ start: Int, at position: Int, saved: [Int], isNext: Bool) {
        var saved = saved
        stack.append(.visit(start))
        while let step = stack.popLast() {
            switch step {
            case .restore(let slot, let value): saved[slot] = value
            case .visit(let place):
                guard !visited[place] else { continue }
                visited[place] = true
                visitedList.append(place)
                switch program.code[place] {
                case .jump(let target): stack.append(.visit(target))
                case .split(let first, let second):
                    stack.append(.visit(second))
                    stack.append(.visit(first))
                case .save(let slot):
                    stack.append(.restore(slot: slot, value: saved[slot]))
                    saved[slot] = position
                    stack.append(.visit(place + 1))
                case .assertion(let assertion):
                    if holds(assertion, at: position) { stack.append(.visit(place + 1)) }
                case .scalar, .set, .match:
                    if isNext { next.add(place, saved) } else { current.add(place, saved) }
                }
            }
        }
    }

    /// All threads that arrive at one position share a closure: what one has passed, a later one need not.
    private mutating func finishClosure() {
        for place in visitedList { visited[place] = false }
        visitedList.removeAll(keepingCapacity: true)
    }

    private func holds(_ assertion: RegexAssertion, at position: Int) -> Bool {
        switch assertion {
        case .start: return position == 0
        case .end: return position == text.count
        case .wordBoundary, .notWordBoundary:
            let before = position > 0 && ScalarSet.word.contains(text[position - 1])
            let after = position < text.count && ScalarSet.word.contains(text[position])
            return (before != after) == (assertion == .wordBoundary)
        }
    }
}
