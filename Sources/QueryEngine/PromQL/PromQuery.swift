package import Telemetry

/// Answers an expression from a source of samples, with the semantics of Prometheus 2.42.
///
/// Limits: `Limits.querySamples`, `Limits.querySeries`, `Limits.queryPoints` and the budget's deadline.
/// Source: schemas/query/promql.md.
package struct PromQuery: Sendable {
    private let expression: PromExpression
    private let source: any SampleSource

    package init(_ expression: PromExpression, source: any SampleSource) {
        self.expression = expression
        self.source = source
    }

    /// - Parameter time: unix milliseconds.
    package func instant(at time: Int64, budget: QueryBudget) throws(PromQueryError) -> PromResult {
        let evaluation = try evaluation(from: time, through: time, budget)
        switch expression.type {
        case .scalar: return .scalar(time: time, value: try evaluation.scalar(expression.root, at: time))
        case .string: return .string(time: time, value: evaluation.string(expression.root))
        case .matrix: return .matrix(try evaluation.rangeSamples(expression.root, at: time))
        case .vector:
            let vector = try evaluation.vector(expression.root, at: time)
            return .vector(
                vector.map {
                    let labels = evaluation.table[$0.series].pairs
                    return SampledSeries(labels: labels, timestamps: [time], values: [$0.value])
                })
        }
    }

    /// The expression at `from`, `from + step` and so on; series sorted by their labels.
    /// - Parameters: unix milliseconds, the step in milliseconds.
    package func range(
        from: Int64, through: Int64, step: Int64, budget: QueryBudget
    ) throws(PromQueryError) -> [SampledSeries] {
        guard expression.type == .scalar || expression.type == .vector else {
            let title = expression.type.title
            throw .badData("invalid expression type \"\(title)\" for range query, must be Scalar or instant Vector")
        }
        guard step > 0, from <= through else { throw .badData("a range goes forward") }
        let evaluation = try evaluation(from: from, through: through, budget)
        guard (through - from) / step <= Limits.queryPoints else {
            throw .badData(
                "exceeded maximum resolution of \(Limits.queryPoints) points per timeseries. "
                    + "Try decreasing the query resolution (?step=XX)")
        }
        var collector = SeriesCollector()
        var time = from
        while true {
            if expression.type == .scalar {
                let value = try evaluation.scalar(expression.root, at: time)
                collector.add(PromSample(series: evaluation.table.number(of: .empty), value: value), at: time)
            } else {
                let vector = try evaluation.vector(expression.root, at: time)
                try evaluation.hold(vector.count)
                for sample in vector { collector.add(sample, at: time) }
            }
            guard through - time >= step else { break }
            time += step
        }
        return collector.series(evaluation.table)
    }

    private func evaluation(
        from: Int64, through: Int64, _ budget: QueryBudget
    ) throws(PromQueryError) -> PromEvaluation {
        guard PromTime.isSane(from), PromTime.isSane(through) else { throw .badData("a time is out of bounds") }
        return PromEvaluation(expression, source: source, from: from, through: through, budget: budget)
    }
}

/// Puts the vectors of the steps together as series.
private struct SeriesCollector {
    private var places: [Int: Int] = [:]
    private var collected: [(series: Int, timestamps: [Int64], values: [Double])] = []

    mutating func add(_ sample: PromSample, at time: Int64) {
        let place = places[sample.series] ?? collected.count
        if place == collected.count {
            places[sample.series] = place
            collected.append((sample.series, [], []))
        }
        collected[place].timestamps.append(time)
        collected[place].values.append(sample.value)
    }

    func series(_ table: LabelTable) -> [SampledSeries] {
        collected.sorted { LabelSet.precedes(table[$0.series], table[$1.series]) }.map {
            SampledSeries(labels: table[$0.series].pairs, timestamps: $0.timestamps, values: $0.values)
        }
    }
}
