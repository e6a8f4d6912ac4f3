package import Bytes

/// Matchers made ready to be asked about many series.
package struct MatcherSet: Sendable {
    private enum Test: Sendable {
        case text(String)
        case pattern(LinearRegex)
    }

    private let tests: [(name: String, test: Test, wanted: Bool)]

    /// - Throws: the defect of the first pattern that is none.
    package init(_ matchers: [LabelMatcher]) throws(RegexError) {
        var tests: [(name: String, test: Test, wanted: Bool)] = []
        for matcher in matchers {
            switch matcher.kind {
            case .equal: tests.append((matcher.name, .text(matcher.value), true))
            case .notEqual: tests.append((matcher.name, .text(matcher.value), false))
            case .matches: tests.append((matcher.name, .pattern(try LinearRegex(matcher.value)), true))
            case .matchesNot: tests.append((matcher.name, .pattern(try LinearRegex(matcher.value)), false))
            }
        }
        self.tests = tests
    }

    /// - Parameter labels: with `__name__`.
    package func matches(_ labels: [(name: String, value: String)]) -> Bool {
        tests.allSatisfy { name, test, wanted in
            let value = labels.first { $0.name == name }?.value ?? ""
            return Self.passes(test, value) == wanted
        }
    }

    /// Whether a series without any label would pass: such matchers choose everything.
    package var matchesNothingSet: Bool { matches([]) }

    private static func passes(_ test: Test, _ value: String) -> Bool {
        switch test {
        case .text(let text): text == value
        case .pattern(let pattern): pattern.matches(value)
        }
    }
}
