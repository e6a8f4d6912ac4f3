import QueryEngine
import Telemetry
import Testing

@Suite("PromQL parser")
struct PromParserTests {
    @Test(
        "Precedence, modifiers and literals",
        arguments: [
            ("1 + 2 * 3 ^ 2 ^ 0.5", "(1 + (2 * (3 ^ (2 ^ 0.5))))"),
            ("-2 ^ 2", "-(2 ^ 2)"),
            ("-2 * 3", "(-2 * 3)"),
            ("2 ^ -1 * 3", "((2 ^ -1) * 3)"),
            ("1 - 2 - 3", "((1 - 2) - 3)"),
            ("a or b and c unless d", "(a or ((b and c) unless d))"),
            ("a > b + 1", "(a > (b + 1))"),
            ("a % b atan2 c", "((a % b) atan2 c)"),
            ("a == bool on (x, y) b", "(a == bool on (x, y) b)"),
            ("a * ignoring () group_left (z,) b", "(a * ignoring () group_left (z) b)"),
            ("a / on () group_right b", "(a / on () group_right () b)"),
            ("sum by (a) (x)", "sum by (a) (x)"),
            ("SUM(x) WITHOUT (a,)", "sum without (a) (x)"),
            ("topk(2 + 1, x)", "topk((2 + 1), x)"),
            ("sum", "sum"),
            ("by{without=\"on\"}", "by{without=\"on\"}"),
            ("a:b:c", "a:b:c"),
            ("{a=\"1\",b!='2',c=~`3`,d!~\"4\",}", #"{a="1",b!="2",c=~"3",d!~"4"}"#),
            ("x[1h30m] offset -5m", "x[5400s] offset -300s"),
            ("x @ 1.5 offset 1y2w3d4h5m6s7ms", "x @ 1.5 offset 33019506007ms"),
            ("x offset 1m @ end()", "x @ end() offset 60s"),
            ("rate((x[5m]))", "rate(x[300s])"),
            ("'a\\x41\\u00e9\\n\\''", #""aAé\n'""#), ("'\\x01\"\\\\'", #""\x01\"\\""#),
            ("0x1F + 010 + 089 + 5. + .5 + 1e3", "(((((31 + 8) + 89) + 5) + 0.5) + 1000)"),
            ("iNf + nAn", "(+Inf + NaN)"),
            ("1 # a\n+ # b\n2", "(1 + 2)"),
        ])
    func trees(text: String, expected: String) throws {
        #expect(try PromExpression(parsing: text).description == expected)
        #expect(try PromExpression(parsing: expected).description == expected)
    }

    @Test(
        "Defects are named with their place",
        arguments: [
            ("", 1, 1, "no expression found"), ("1 +", 1, 4, "unexpected end of input"),
            ("x[5m", 1, 5, #""]""#), ("x{a}", 1, 4, "one of"), ("\n  x y", 2, 5, #"unexpected "y""#),
            ("sum(x,\n  y)", 1, 1, "expected 1, got 2"), ("rate(x)", 1, 6, "expected type range vector"),
            ("hour(x)", 1, 1, #"function "hour" is not supported"#), ("foo(x)", 1, 1, "unknown function"),
            ("x[5m:1m]", 1, 5, "subqueries are not supported"), ("x{a=~\"(\"}", 1, 6, "error parsing regexp"),
            ("{a=~\".*\"}", 1, 1, "at least one non-empty matcher"), ("1 == 1", 1, 3, "must use BOOL"),
            ("'abc", 1, 1, "unterminated"), ("5x", 1, 1, "bad number or duration"),
            ("a $", 1, 3, "unexpected character"),
            ("x{__name__=\"y\"}", 1, 3, "must not be set twice"), ("\"\\q\"", 1, 2, "unknown escape"),
            ("x offset 1m offset 2m", 1, 13, "multiple times"), ("x @ NaN", 1, 5, "out of bounds"),
            ("1 and x", 1, 3, "not allowed in binary scalar"), ("x + on (a) group_left (a) y", 1, 12, "at once"),
        ])
    func defects(text: String, line: Int, column: Int, message: String) {
        let error = #expect(throws: PromParseError.self) { try PromExpression(parsing: text) }
        #expect(error?.line == line && error?.column == column, "\(text): \(String(describing: error))")
        #expect(error?.message.contains(message) == true, "\(text): \(String(describing: error))")
    }

    @Test(
        "Whatever nests or grows is bounded",
        arguments: [
            String(repeating: "(", count: 20_000), String(repeating: "-", count: 20_000) + "1",
            "x" + String(repeating: " + x", count: 10_000), "1" + String(repeating: " ^ 1", count: 10_000),
            String(repeating: "abs(", count: 10_000) + "x", String(repeating: "sum by (a) (", count: 5_000) + "x",
            "label_join(x, \"a\", \"b\"" + String(repeating: ", \"c\"", count: 1_000) + ")",
            "x{" + String(repeating: "a=\"b\",", count: 1_000) + "}",
            "sum by (" + String(repeating: "a,", count: 1_000) + ") (x)",
            String(repeating: " ", count: Limits.queryTextBytes) + "1",
        ])
    func bombs(text: String) {
        #expect(throws: PromParseError.self) { try PromExpression(parsing: text) }
    }

    @Test("Nesting up to the limit is fine")
    func deepButLegal() throws {
        let levels = Limits.queryNesting - 1
        let text = String(repeating: "(", count: levels) + "x" + String(repeating: ")", count: levels)
        #expect(try PromExpression(parsing: text).type == .vector)
        #expect(try PromExpression(parsing: "1" + String(repeating: " + 1", count: levels)).type == .scalar)
    }
}
