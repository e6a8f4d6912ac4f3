import Bytes
import TestKit
import Testing

@Suite("Linear regular expressions")
struct RegexTests {
    private func match(_ pattern: String, _ text: String, anchored: Bool = true) throws -> [String?]? {
        try LinearRegex(pattern, anchored: anchored).firstMatch(in: text)?.groups
    }

    @Test(
        "Patterns match as RE2 has them",
        arguments: [
            ("(.*)", "a.b", ["a.b", "a.b"]), ("a|ab", "ab", ["ab"]), ("(a+?)(a*)", "aaa", ["aaa", "a", "aa"]),
            ("x{2,3}y{0}", "xxx", ["xxx"]), ("[[:alpha:]_][^a-z]\\d", "q-7", ["q-7"]),
            ("(?i)http[X]?", "HttPx", ["HttPx"]),
            ("(?P<method>[A-Z]+)\\.(?<code>\\d{3})", "GET.200", ["GET.200", "GET", "200"]),
            ("\\x{e4}.", "ä€", ["ä€"]), ("a{,2}", "a{,2}", ["a{,2}"]), ("[]a]+", "]a", ["]a"]), ("^a$", "a", ["a"]),
            ("(?:a|b)*\\bc?", "ab", ["ab"]), ("a(b)?", "a", ["a", nil]), ("[a\\-z]+", "-z", ["-z"]), ("", "", [""]),
        ])
    func accepts(pattern: String, text: String, groups: [String?]) throws {
        #expect(try match(pattern, text) == groups)
    }

    @Test("A full match is wanted unless said otherwise")
    func anchoring() throws {
        #expect(try match("b+", "abbc") == nil)
        #expect(try match("b+", "abbc", anchored: false) == ["bb"])
        #expect(try match("^b", "ab", anchored: false) == nil)
        #expect(try match("c$|b", "abc", anchored: false) == ["b"])
        #expect(try match("a.b", "a\nb") == nil)
        #expect(try match("(?s)a.b", "a\nb") != nil)
    }

    @Test(
        "Bad patterns are refused with a place",
        arguments: [
            "(", ")", "a**", "*a", "[a", "[z-a]", "\\", "a{2,1}", "a{1001}", "(?=a)", "\\1", "\\p", "[[:x:]]",
            "(?<a>b)(?<a>c)",
        ])
    func refuses(pattern: String) { #expect(throws: RegexError.self) { try LinearRegex(pattern) } }

    @Test("Everything that could grow has a limit")
    func limits() {
        let bombs = [
            String(repeating: "(", count: 70) + String(repeating: ")", count: 70), "((a{100}){100}){100}",
            String(repeating: "a", count: 1_025), String(repeating: "(a)", count: 65),
        ]
        for bomb in bombs { #expect(throws: RegexError.self) { try LinearRegex(bomb) } }
        #expect(throws: Never.self) { try LinearRegex("(?:(?:(?:){1000}){1000}){1000}") }
    }

    @Test("What makes a backtracking engine explode stays linear")
    func pathological() throws {
        for (pattern, text) in [
            ("(a*)*b", String(repeating: "a", count: 4_000)), ("(a|a)*b", String(repeating: "a", count: 4_000)),
            ("(?:a?){25}a{25}", String(repeating: "a", count: 25)),
        ] {
            let start = ContinuousClock.now
            _ = try LinearRegex(pattern, anchored: true).matches(text)
            #expect(ContinuousClock.now - start < .seconds(2), "\(pattern)")
        }
    }

    @Test("Random small patterns match what a backtracking matcher matches")
    func againstBacktracker() throws {
        var random = SeededRandom(seed: 20_261)
        for round in 0..<4_000 {
            let node = ModelNode.random(&random, depth: 3)
            let regex = try LinearRegex(node.pattern)
            let search = try LinearRegex(node.pattern, anchored: false)
            for _ in 0..<6 {
                let count = Int(random.next() % 7)
                let text = (0..<count).map { _ in "ab"[Int(random.next() % 2)] }
                let whole = node.match(text[...]) { $0.isEmpty }
                #expect(regex.matches(String(text)) == whole, "round \(round): \(node.pattern) on \(String(text))")
                // Where a loop's round may be empty, engines differ in which of several matches they prefer.
                guard !node.hasEmptyRounds else { continue }
                var found: String?
                for start in 0...text.count where found == nil {
                    _ = node.match(text[start...]) { rest in
                        found = String(text[start..<rest.startIndex])
                        return true
                    }
                }
                let got = search.firstMatch(in: String(text))?.groups[0]
                #expect(got == found, "round \(round): \(node.pattern) in \(String(text))")
            }
        }
    }
}

extension String {
    fileprivate subscript(_ index: Int) -> Character { self[self.index(startIndex, offsetBy: index)] }
}

/// A pattern as a tree, matched by trying everything in order.
private indirect enum ModelNode {
    case letter(Character)
    case any
    case sequence(ModelNode, ModelNode)
    case either(ModelNode, ModelNode)
    case star(ModelNode, isGreedy: Bool)
    case optional(ModelNode)

    static func random(_ random: inout SeededRandom, depth: Int) -> ModelNode {
        let choice = depth == 0 ? random.next() % 3 : random.next() % 8
        switch choice {
        case 0: return .letter("a")
        case 1: return .letter("b")
        case 2: return .any
        case 3, 4: return .sequence(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
        case 5: return .either(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
        case 6: return .star(.random(&random, depth: depth - 1), isGreedy: random.next() % 3 > 0)
        default: return .optional(.random(&random, depth: depth - 1))
        }
    }

    var pattern: String {
        switch self {
        case .letter(let letter): String(letter)
        case .any: "."
        case .sequence(let first, let second): first.pattern + second.pattern
        case .either(let first, let second): "(?:\(first.pattern)|\(second.pattern))"
        case .star(let body, let isGreedy): "(?:\(body.pattern))*\(isGreedy ? "" : "?")"
        case .optional(let body): "(\(body.pattern))?"
        }
    }

    var isNullable: Bool {
        switch self {
        case .letter, .any: false
        case .sequence(let first, let second): first.isNullable && second.isNullable
        case .either(let first, let second): first.isNullable || second.isNullable
        case .star, .optional: true
        }
    }

    var hasEmptyRounds: Bool {
        switch self {
        case .letter, .any: false
        case .sequence(let first, let second), .either(let first, let second):
            first.hasEmptyRounds || second.hasEmptyRounds
        case .star(let body, _): body.isNullable || body.hasEmptyRounds
        case .optional(let body): body.hasEmptyRounds
        }
    }

    func match(_ text: ArraySlice<Character>, _ rest: (ArraySlice<Character>) -> Bool) -> Bool {
        switch self {
        case .letter(let letter): return text.first == letter && rest(text.dropFirst())
        case .any: return !text.isEmpty && rest(text.dropFirst())
        case .sequence(let first, let second): return first.match(text) { second.match($0, rest) }
        case .either(let first, let second): return first.match(text, rest) || second.match(text, rest)
        case .optional(let body): return body.match(text, rest) || rest(text)
        case .star(let body, let isGreedy):
            if !isGreedy, rest(text) { return true }
            // A round that takes nothing is the last one.
            let again = body.match(text) { $0.count == text.count ? rest($0) : match($0, rest) }
            return again || isGreedy && rest(text)
        }
    }
}
