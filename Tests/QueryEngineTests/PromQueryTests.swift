import QueryEngine
import Telemetry
import TestKit
import Testing

@Suite("PromQL evaluation")
struct PromQueryTests {
    /// One sample every 10 s from 0 to 600 s.
    private static func series(_ labels: [(String, String)], _ value: (Int) -> Double) -> SampledSeries {
        SampledSeries(
            labels: labels.map { (name: $0.0, value: $0.1) }, timestamps: (0...60).map { Int64($0) * 10_000 },
            values: (0...60).map(value))
    }

    private static let samples = MemorySamples([
        series([("__name__", "c_total"), ("job", "a")]) { Double($0) * 5 },
        series([("__name__", "c_total"), ("job", "b")]) { Double($0 % 30) * 10 },
        series([("__name__", "g"), ("job", "a")]) { Double($0) },
        series([("__name__", "g"), ("job", "b")]) { -Double($0) },
        series([("__name__", "h_bucket"), ("le", "+Inf")]) { Double($0) * 10 },
        series([("__name__", "h_bucket"), ("le", "1")]) { Double($0) * 5 },
        series([("__name__", "h_bucket"), ("le", "2")]) { Double($0) * 9 },
        series([("__name__", "twin_a"), ("x", "1")]) { _ in 1 },
        series([("__name__", "twin_b"), ("x", "1")]) { _ in 2 },
    ])

    private func query(_ text: String) throws -> PromQuery {
        PromQuery(try PromExpression(parsing: text), source: Self.samples)
    }

    /// `{a="b"} 1.5` for each element, in the order given.
    private func instant(_ text: String, at seconds: Int64 = 600) throws -> [String] {
        switch try query(text).instant(at: seconds * 1_000, budget: QueryBudget()) {
        case .scalar(_, let value): return [PromNumberText.text(value)]
        case .string(_, let value): return [value]
        case .vector(let list), .matrix(let list):
            return list.map { series in
                let labels = series.labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
                return "{\(labels)} " + series.values.map(PromNumberText.text).joined(separator: " ")
            }
        }
    }

    @Test(
        "Instant queries",
        arguments: [
            ("1 + 2 * 3", ["7"]), ("'text'", ["text"]),
            ("g", [#"{__name__="g",job="a"} 60"#, #"{__name__="g",job="b"} -60"#]),
            ("g[20s]", [#"{__name__="g",job="a"} 58 59 60"#, #"{__name__="g",job="b"} -58 -59 -60"#]),
            ("g offset 1m", [#"{__name__="g",job="a"} 54"#, #"{__name__="g",job="b"} -54"#]),
            ("g @ 15", [#"{__name__="g",job="a"} 1"#, #"{__name__="g",job="b"} -1"#]),
            (#"-g{job="a"}"#, [#"{job="a"} -60"#]),
            ("g > 0", [#"{__name__="g",job="a"} 60"#]),
            ("g > bool 0", [#"{job="a"} 1"#, #"{job="b"} 0"#]),
            // 300 s between the first and the last sample, both on the edges: nothing to extrapolate.
            (#"rate(c_total{job="a"}[5m])"#, [#"{job="a"} 0.5"#]),
            (#"increase(c_total{job="a"}[5m])"#, [#"{job="a"} 150"#]),
            // From 0 through 290 and back to 0.
            (#"increase(c_total{job="b"}[5m])"#, [#"{job="b"} 290"#]),
            (#"irate(c_total{job="b"}[5m])"#, [#"{job="b"} 0"#]),
            ("sum(g)", ["{} 0"]), ("count by (job) (c_total)", [#"{job="a"} 1"#, #"{job="b"} 1"#]),
            ("topk(1, abs(g) + 1)", [#"{job="a"} 61"#]),
            ("bottomk(5, g)", [#"{__name__="g",job="b"} -60"#, #"{__name__="g",job="a"} 60"#]),
            ("histogram_quantile(0.9, h_bucket)", ["{} 2"]), ("histogram_quantile(0.7, h_bucket)", ["{} 1.5"]),
            ("histogram_quantile(0.99, h_bucket)", ["{} 2"]), ("histogram_quantile(0.25, h_bucket)", ["{} 0.5"]),
            ("g * on (job) c_total", [#"{job="a"} 18000"#, #"{job="b"} -0"#]),
            ("absent(nothing{a=\"b\"})", [#"{a="b"} 1"#]),
            (#"label_replace(g{job="a"}, "to", "$1!", "job", "(.)")"#, [#"{__name__="g",job="a",to="a!"} 60"#]),
        ])
    func instants(text: String, expected: [String]) throws {
        #expect(try instant(text) == expected)
    }

    @Test("A series is seen for five minutes after its last sample")
    func lookback() throws {
        #expect(try instant("g", at: 900).count == 2)
        #expect(try instant("g", at: 901).isEmpty)
    }

    @Test("A range query gives each step, series sorted by their labels")
    func range() throws {
        let result = try query("c_total").range(from: 0, through: 95_000, step: 30_000, budget: QueryBudget())
        #expect(result.map { $0.labels.map(\.value) } == [["c_total", "a"], ["c_total", "b"]])
        #expect(result.map(\.timestamps) == [[0, 30_000, 60_000, 90_000], [0, 30_000, 60_000, 90_000]])
        #expect(result.map(\.values) == [[0, 15, 30, 45], [0, 30, 60, 90]])
    }

    @Test(
        "What cannot be answered is an error of execution",
        arguments: [
            #"-{__name__=~"twin_."}"#, #"rate({__name__=~"twin_."}[1m])"#, #"abs({__name__=~"twin_."})"#,
            #"twin_a * on (x) {__name__=~"twin_."}"#, #"{__name__=~"twin_."} * on (x) twin_a"#, "topk(NaN, g)",
            #"count_values("1", g)"#, #"label_replace(g, "a", "", "b", "(")"#,
        ])
    func executionErrors(text: String) throws {
        let query = try query(text)
        let error = #expect(throws: PromQueryError.self) {
            try query.instant(at: 600_000, budget: QueryBudget())
        }
        guard case .execution = error else {
            Issue.record("\(text): \(String(describing: error))")
            return
        }
    }

    @Test("Limits: steps, deadline, cancelling, times")
    func limits() throws {
        let query = try query("g")
        #expect(throws: PromQueryError.self) {
            try query.range(from: 0, through: 11_001_000, step: 1_000, budget: QueryBudget())
        }
        #expect(throws: PromQueryError.timeout) {
            try query.instant(at: 0, budget: QueryBudget(timeout: .seconds(-1)))
        }
        let budget = QueryBudget()
        budget.cancel()
        #expect(throws: PromQueryError.cancelled) { try query.instant(at: 0, budget: budget) }
        #expect(throws: PromQueryError.self) { try query.instant(at: .max, budget: QueryBudget()) }
        #expect(throws: PromQueryError.self) {
            try self.query("g[1m]").range(from: 0, through: 1, step: 1, budget: QueryBudget())
        }
    }

    @Test("More samples than a query may hold are refused")
    func sampleLimit() throws {
        let endless = EndlessSamples(count: Limits.querySamples / 2 + 1)
        let query = PromQuery(try PromExpression(parsing: "a + a"), source: endless)
        #expect(throws: PromQueryError.self) { try query.instant(at: 1_000, budget: QueryBudget()) }
    }

    @Test("What a source throws is told by its kind")
    func sourceErrors() throws {
        let expression = try PromExpression(parsing: "g")
        for (thrown, told) in [
            (ReadError.storage("read: EIO"), PromQueryError.storage("read: EIO")), (.stopped(.deadline), .timeout),
            (.stopped(.cancelled), .cancelled),
        ] {
            let query = PromQuery(expression, source: FailingSamples(error: thrown))
            #expect(throws: told) { try query.instant(at: 0, budget: QueryBudget()) }
        }
    }

    @Test(
        "Values are printed as Prometheus prints them",
        arguments: [
            (0, "0"), (-0.0, "-0"), (1, "1"), (-1.5, "-1.5"), (123_456_789, "123456789"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"), (1.25e22, "1.25e+22"), (1e-6, "0.000001"), (1.5e-7, "1.5e-07"),
            (.leastNonzeroMagnitude, "5e-324"),
            (0.1, "0.1"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"), (9_007_199_254_740_992, "9007199254740992"),
        ] as [(Double, String)])
    func numbers(value: Double, text: String) {
        #expect(PromNumberText.text(value) == text)
    }
}

private struct FailingSamples: SampleSource {
    let error: ReadError

    func series(matching matchers: [LabelMatcher], from: Int64, through: Int64) throws -> [SampledSeries] {
        throw error
    }
}

/// A series with more samples than fit.
private struct EndlessSamples: SampleSource {
    let count: Int

    func series(matching matchers: [LabelMatcher], from: Int64, through: Int64) throws -> [SampledSeries] {
        let times = Array(repeating: Int64(0), count: count)
        return [
            SampledSeries(labels: [("__name__", "a")], timestamps: times, values: Array(repeating: 0, count: count))
        ]
    }
}
