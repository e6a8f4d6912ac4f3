/// Reads the part of the RE2 syntax that configuration files use.
///
///     literals  .  [abc] [^a-z] [[:alpha:]]  \d \w \s \D \W \S  \x41 \x{1f600}  ^ $ \A \z \b \B
///     (group) (?:group) (?P<name>group) (?<name>group)  (?i) (?s) at the start  a|b  * + ? {n} {n,} {n,m}, lazy with ?
///
/// There are no back references and no look-around: they are what makes other engines slow.
struct RegexParser {
    static let largestRepeat = 1_000
    static let deepestNesting = 64
    static let mostGroups = 64

    private let pattern: [UInt32]
    private var position = 0
    private var depth = 0
    private var ignoresCase = false
    private var dotMatchesNewline = false
    private(set) var groupNames: [String?] = [nil]

    init(_ pattern: String) { self.pattern = pattern.unicodeScalars.map(\.value) }

    mutating func parse() throws(RegexError) -> RegexNode {
        let node = try alternatives()
        guard position == pattern.count else { throw error("unexpected ')'") }
        return node
    }

    private func error(_ message: String, at offset: Int? = nil) -> RegexError {
        RegexError(message: message, offset: offset ?? position)
    }

    private var peek: UInt32? { position < pattern.count ? pattern[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar.value else { return false }
        position += 1
        return true
    }

    private func looksAt(_ text: String) -> Bool {
        pattern[position...].starts(with: text.unicodeScalars.map(\.value))
    }

    private mutating func alternatives() throws(RegexError) -> RegexNode {
        depth += 1
        guard depth <= Self.deepestNesting else { throw error("groups are nested too deeply") }
        defer { depth -= 1 }
        var choices = [try sequence()]
        while take("|") { choices.append(try sequence()) }
        return choices.count == 1 ? choices[0] : .alternatives(choices)
    }

    private mutating func sequence() throws(RegexError) -> RegexNode {
        var nodes: [RegexNode] = []
        while let next = peek, next != 0x7c, next != 0x29 {
            let start = position
            let atom = try atom()
            nodes.append(try repeated(atom, from: start))
        }
        return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
    }

    private mutating func repeated(_ atom: RegexNode, from start: Int) throws(RegexError) -> RegexNode {
        var bounds: (least: Int, most: Int?)
        switch peek {
        case 0x2a: bounds = (0, nil)
        case 0x2b: bounds = (1, nil)
        case 0x3f: bounds = (0, 1)
        case 0x7b:
            guard let counted = try counted() else { return atom }
            bounds = counted
            position -= 1
        default: return atom
        }
        position += 1
        let isGreedy = !take("?")
        if let next = peek, next == 0x2a || next == 0x2b || next == 0x3f { throw error("nothing to repeat") }
        return .repetition(atom, least: bounds.least, most: bounds.most, isGreedy: isGreedy)
    }

    /// `{n}`, `{n,}` or `{n,m}`; nil leaves the position at the brace, which then is a literal.
    private mutating func counted() throws(RegexError) -> (least: Int, most: Int?)? {
        let start = position
        position += 1
        guard let least = number() else {
            position = start
            return nil
        }
        var most: Int? = least
        if take(",") { most = number() }
        guard take("}") else {
            position = start
            return nil
        }
        if least > Self.largestRepeat || (most ?? 0) > Self.largestRepeat || least > (most ?? least) {
            throw error("a repeat count must be at most \(Self.largestRepeat), the smaller one first", at: start)
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = peek, (0x30...0x39).contains(digit), (value ?? 0) < 100_000 {
            value = (value ?? 0) * 10 + Int(digit - 0x30)
            position += 1
        }
        return value
    }

    private mutating func atom() throws(RegexError) -> RegexNode {
        let start = position
        guard let scalar = peek else { return .empty }
        position += 1
        switch scalar {
        case 0x28: return try group(from: start)
        case 0x5b: return .scalars(folded(try bracket(from: start)))
        case 0x2e: return .scalars(dotMatchesNewline ? .everything : .notNewline)
        case 0x5e: return .assertion(.start)
        case 0x24: return .assertion(.end)
        case 0x5c: return try escape(from: start)
        case 0x2a, 0x2b, 0x3f: throw error("nothing to repeat", at: start)
        case 0x7b:
            // A brace that starts no count is a literal.
            position = start
            let isCount = try counted() != nil
            if isCount { throw error("nothing to repeat", at: start) }
            position = start + 1
            return literal(scalar)
        default: return literal(scalar)
        }
    }

    private func literal(_ scalar: UInt32) -> RegexNode { .scalars(folded(ScalarSet([scalar...scalar]))) }

    private func folded(_ set: ScalarSet) -> ScalarSet { ignoresCase ? set.ignoringCase : set }

    private mutating func group(from start: Int) throws(RegexError) -> RegexNode {
        var index: Int?
        if take("?") {
            if looksAt("P<") || looksAt("<") {
                _ = take("P")
                position += 1
                index = try openGroup(named: try groupName())
            } else if !take(":") {
                return try flags(from: start)
            }
        } else {
            index = try openGroup(named: nil)
        }
        let body = try alternatives()
        guard take(")") else { throw error("missing ')'", at: start) }
        return index.map { .group(body, index: $0) } ?? body
    }

    private mutating func openGroup(named name: String?) throws(RegexError) -> Int {
        guard groupNames.count <= Self.mostGroups else { throw error("more than \(Self.mostGroups) groups") }
        groupNames.append(name)
        return groupNames.count - 1
    }

    private mutating func groupName() throws(RegexError) -> String {
        var name = ""
        while let scalar = peek, ScalarSet.word.contains(scalar) {
            name.unicodeScalars.append(Unicode.Scalar(scalar) ?? "_")
            position += 1
        }
        guard !name.isEmpty, take(">") else { throw error("a group's name must be <letters_digits>") }
        guard !groupNames.contains(name) else { throw error("two groups are named '\(name)'") }
        return name
    }

    private mutating func flags(from start: Int) throws(RegexError) -> RegexNode {
        guard start == 0 else { throw error("flags are taken at the start of a pattern only", at: start) }
        while let scalar = peek, scalar != 0x29 {
            switch scalar {
            case 0x69: ignoresCase = true
            case 0x73: dotMatchesNewline = true
            default: throw error("unknown group; there is no look-around")
            }
            position += 1
        }
        guard take(")") else { throw error("missing ')'", at: start) }
        return .empty
    }

    private mutating func escape(from start: Int) throws(RegexError) -> RegexNode {
        guard let scalar = peek else { throw error("a backslash at the end", at: start) }
        switch scalar {
        case 0x41:
            position += 1
            return .assertion(.start)
        case 0x7a:
            position += 1
            return .assertion(.end)
        case 0x62:
            position += 1
            return .assertion(.wordBoundary)
        case 0x42:
            position += 1
            return .assertion(.notWordBoundary)
        default: return .scalars(folded(try escapedSet(from: start)))
        }
    }

    /// What stands after a backslash, in a bracket or outside; the position is at it.
    private mutating func escapedSet(from start: Int) throws(RegexError) -> ScalarSet {
        guard let scalar = peek else { throw error("a backslash at the end", at: start) }
        position += 1
        switch scalar {
        case 0x64: return .digits
        case 0x44: return ScalarSet.digits.inverted
        case 0x77: return .word
        case 0x57: return ScalarSet.word.inverted
        case 0x73: return .space
        case 0x53: return ScalarSet.space.inverted
        case 0x74: return ScalarSet([9...9])
        case 0x6e: return ScalarSet([10...10])
        case 0x72: return ScalarSet([13...13])
        case 0x66: return ScalarSet([12...12])
        case 0x76: return ScalarSet([11...11])
        case 0x78: return try hexadecimal(from: start)
        default:
            guard scalar >= 0x80 || !ScalarSet.word.contains(scalar) || scalar == 0x5f else {
                throw error("unknown escape", at: start)
            }
            return ScalarSet([scalar...scalar])
        }
    }

    private mutating func hexadecimal(from start: Int) throws(RegexError) -> ScalarSet {
        let isBraced = take("{")
        var value: UInt32 = 0
        var digits = 0
        while digits < (isBraced ? 6 : 2), let scalar = peek, let unicode = Unicode.Scalar(scalar),
            let digit = Character(unicode).hexDigitValue, scalar < 0x80
        {
            value = value << 4 | UInt32(digit)
            digits += 1
            position += 1
        }
        guard digits > 0, isBraced ? take("}") : digits == 2, value <= ScalarSet.last else {
            throw error("a \\x must be followed by two digits or by {digits}", at: start)
        }
        return ScalarSet([value...value])
    }

    private mutating func bracket(from start: Int) throws(RegexError) -> ScalarSet {
        let isInverted = take("^")
        var set = ScalarSet([])
        var isFirst = true
        while let scalar = peek, scalar != 0x5d || isFirst {
            isFirst = false
            if looksAt("[:") {
                set = set.union(try posixClass())
                continue
            }
            let item = position
            let low = try bracketItem()
            guard low.ranges.count == 1, low.ranges[0].count == 1, peek == 0x2d, position + 1 < pattern.count,
                pattern[position + 1] != 0x5d
            else {
                set = set.union(low)
                continue
            }
            position += 1
            let high = try bracketItem()
            guard high.ranges.count == 1, high.ranges[0].count == 1,
                low.ranges[0].lowerBound <= high.ranges[0].lowerBound
            else { throw error("a range is the wrong way round", at: item) }
            set = set.union(ScalarSet([low.ranges[0].lowerBound...high.ranges[0].lowerBound]))
        }
        guard take("]") else { throw error("missing ']'", at: start) }
        return isInverted ? folded(set).inverted : set
    }

    private mutating func bracketItem() throws(RegexError) -> ScalarSet {
        let start = position
        guard let scalar = peek else { throw error("missing ']'") }
        position += 1
        return scalar == 0x5c ? try escapedSet(from: start) : ScalarSet([scalar...scalar])
    }

    private mutating func posixClass() throws(RegexError) -> ScalarSet {
        let start = position
        position += 2
        let isInverted = take("^")
        var name = ""
        while let scalar = peek, (0x61...0x7a).contains(scalar), let unicode = Unicode.Scalar(scalar) {
            name.unicodeScalars.append(unicode)
            position += 1
        }
        guard looksAt(":]"), let set = ScalarSet.named(name) else { throw error("unknown class", at: start) }
        position += 2
        return isInverted ? set.inverted : set
    }
}
