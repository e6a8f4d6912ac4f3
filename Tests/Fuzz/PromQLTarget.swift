internal import QueryEngine
internal import Telemetry
internal import TestKit

/// The PromQL parser and evaluator: no trap, errors that point into the text, and an answer or an error for everything
/// that parses.
extension FuzzTarget {
    static let promQL = FuzzTarget(
        name: "promql",
        seeds: {
            [
                #"sum by (job) (rate(m{a="b",c=~"d.*"}[5m] offset -1m)) / 2 ^ -1 > bool 0x1F # end"#,
                #"histogram_quantile(0.9, sum by (le) (m_bucket))"#,
                #"m @ 1.5 - on (a) group_left (b) -m @ start() % Inf atan2 m"#,
                #"topk(2, m or m unless n) and count_values("v", round(m, 0.1))"#,
                #"label_replace(m, "x", "$1${a}", "a", "(?P<a>.)\\x41") + quantile_over_time(.5, m[1h30m])"#,
                #"predict_linear(m[5m], 60) * absent_over_time(n[1d]) + 'a' `b` "\U00000041""#,
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let expression: PromExpression
            do throws(PromParseError) { expression = try PromExpression(parsing: text) } catch {
                let isInside = (0...text.utf8.count).contains(error.offset) && error.line >= 1 && error.column >= 1
                return isInside ? nil : "an error at \(error.offset) of \(text.utf8.count)"
            }
            let query = PromQuery(expression, source: samples)
            _ = try? query.instant(at: 30_000, budget: QueryBudget())
            _ = try? query.range(from: 0, through: 60_000, step: 20_000, budget: QueryBudget())
            return nil
        })

    private static let samples = MemorySamples(
        ["m", "n", "m_bucket"].flatMap { name in
            ["1", "+Inf"].map { value in
                SampledSeries(
                    labels: [("__name__", name), ("a", value), ("le", value)],
                    timestamps: [0, 10_000, 20_000, 45_000], values: [1, 3, 2, .nan])
            }
        })
}
