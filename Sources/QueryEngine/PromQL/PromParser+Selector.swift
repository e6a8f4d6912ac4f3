internal import Bytes
internal import Telemetry

/// Selectors and what may follow them: `name{label="value"}[5m] offset 1h @ 1600000000`.
extension PromParser {
    mutating func selector() throws(PromParseError) -> Int {
        let start = peek.range.lowerBound
        var matchers: [LabelMatcher] = []
        if peek.kind == .word {
            matchers.append(LabelMatcher(name: "__name__", kind: .equal, value: spelled(peek)))
            advance()
        }
        if take("{") {
            while !looksAt("}") {
                let place = peek.range.lowerBound
                let matcher = try matcher()
                if matcher.name == "__name__", let first = matchers.first, first.name == "__name__",
                    text[start] != UInt8(ascii: "{")
                {
                    throw error(
                        "metric name must not be set twice: \"\(first.value)\" or \"\(matcher.value)\"", at: place)
                }
                matchers.append(matcher)
                guard matchers.count <= Limits.queryMatchers else {
                    throw error("more than \(Limits.queryMatchers) matchers", at: place)
                }
                if !take(",") { break }
            }
            try expect("}", in: "label matching")
        }
        try check(matchers, at: start)
        return try add(.instant(PromSelector(matchers: matchers)), .vector, from: start)
    }

    private mutating func matcher() throws(PromParseError) -> LabelMatcher {
        let name = try labelName(in: "label matching")
        let kind: LabelMatcher.Kind
        switch peek.kind {
        case .symbol("="): kind = .equal
        case .symbol("!="): kind = .notEqual
        case .symbol("=~"): kind = .matches
        case .symbol("!~"): kind = .matchesNot
        default: throw unexpected("one of \"=\", \"!=\", \"=~\" or \"!~\" in label matching")
        }
        advance()
        let place = peek.range.lowerBound
        guard case .string(let value) = peek.kind else { throw unexpected("a string in label matching") }
        advance()
        let matcher = LabelMatcher(name: name, kind: kind, value: value)
        do { _ = try MatcherSet([matcher]) } catch {
            throw PromParseError("error parsing regexp: \(error)", at: place, in: text)
        }
        return matcher
    }

    private func check(_ matchers: [LabelMatcher], at start: Int) throws(PromParseError) {
        // The patterns were compiled one by one already.
        guard let set = try? MatcherSet(matchers), set.matchesNothingSet else { return }
        throw error("vector selector must contain at least one non-empty matcher", at: start)
    }

    mutating func labelName(in place: String) throws(PromParseError) -> String {
        guard peek.kind == .word else { throw unexpected("a label name in \(place)") }
        let name = spelled(peek)
        guard PromLabelName.isValid(name) else { throw unexpected("a label name in \(place)") }
        advance()
        return name
    }

    // MARK: Suffixes

    mutating func suffixes(of primary: Int) throws(PromParseError) -> Int {
        var node = primary
        let isBare = isSelectorEnding(node)
        while true {
            if looksAt("[") {
                node = try range(over: node, isBare: isBare)
            } else if keyword == "offset" {
                node = try offset(of: node, isBare: isBare)
            } else if looksAt("@") {
                node = try at(of: node, isBare: isBare)
            } else {
                return node
            }
        }
    }

    /// False for a selector in parentheses.
    private func isSelectorEnding(_ node: Int) -> Bool { nodes[node].range.upperBound == previousEnd }

    private mutating func range(over node: Int, isBare: Bool) throws(PromParseError) -> Int {
        let place = peek.range.lowerBound
        advance()
        guard case .duration(let milliseconds) = peek.kind else { throw unexpected("a duration in a range") }
        guard milliseconds > 0 else { throw error("duration must be greater than 0") }
        advance()
        if peek.kind == .word, spelled(peek).hasPrefix(":") { throw error("subqueries are not supported") }
        try expect("]", in: "a range")
        guard isBare, case .instant(let selector) = nodes[node].kind else {
            throw error("ranges only allowed for vector selectors", at: place)
        }
        guard selector.offset == nil else { throw error("no offset modifiers allowed before range", at: place) }
        guard selector.at == nil else { throw error("no @ modifiers allowed before range", at: place) }
        return try add(.range(selector, milliseconds: milliseconds), .matrix, from: start(of: node))
    }

    private mutating func offset(of node: Int, isBare: Bool) throws(PromParseError) -> Int {
        let place = peek.range.lowerBound
        advance()
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        guard case .duration(let milliseconds) = peek.kind else { throw unexpected("a duration in offset") }
        advance()
        return try changeSelector(node, isBare, at: place, "offset modifier") { selector in
            guard selector.offset == nil else { return "offset may not be set multiple times" }
            selector.offset = isNegative ? -milliseconds : milliseconds
            return nil
        }
    }

    private mutating func at(of node: Int, isBare: Bool) throws(PromParseError) -> Int {
        let place = peek.range.lowerBound
        advance()
        let instant: PromSelector.Instant
        if let word = keyword, word == "start" || word == "end", peekSecond.kind == .symbol("(") {
            advance()
            advance()
            try expect(")", in: "@")
            instant = word == "start" ? .start : .end
        } else {
            let isNegative = take("-")
            if !isNegative { _ = take("+") }
            let seconds: Double
            switch (peek.kind, keyword) {
            case (.number(let value), _): seconds = isNegative ? -value : value
            case (_, "inf"), (_, "nan"): seconds = .nan
            default: throw unexpected("a timestamp in @")
            }
            guard let milliseconds = Int64(exactly: (seconds * 1_000).rounded()), PromTime.isSane(milliseconds) else {
                throw error("timestamp out of bounds for @ modifier")
            }
            advance()
            instant = .time(milliseconds)
        }
        return try changeSelector(node, isBare, at: place, "@ modifier") { selector in
            guard selector.at == nil else { return "@ <timestamp> may not be set multiple times" }
            selector.at = instant
            return nil
        }
    }

    /// Replaces a selector by a changed one; `change` returns why it may not be.
    private mutating func changeSelector(
        _ node: Int, _ isBare: Bool, at place: Int, _ title: String, _ change: (inout PromSelector) -> String?
    ) throws(PromParseError) -> Int {
        let kind: PromExpression.Kind
        var problem: String?
        switch nodes[node].kind {
        case .instant(var selector) where isBare:
            problem = change(&selector)
            kind = .instant(selector)
        case .range(var selector, let milliseconds) where isBare:
            problem = change(&selector)
            kind = .range(selector, milliseconds: milliseconds)
        default:
            throw error("\(title) must be preceded by an instant vector selector or range vector selector", at: place)
        }
        if let problem { throw error(problem, at: place) }
        return try add(kind, nodes[node].type, from: start(of: node))
    }
}

/// Label names: letters, digits and underscores, no digit first.
enum PromLabelName {
    static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, isLetter(first) else { return false }
        return name.utf8.allSatisfy(isWordByte)
    }
}
