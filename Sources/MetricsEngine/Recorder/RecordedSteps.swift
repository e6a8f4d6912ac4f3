/// A counter or gauge between two times.
package struct RecordedScalarStep: Hashable, Sendable {
    /// Unix second at which the step begins.
    package var time: Int64
    /// Counters: what was added. Gauges: the last value.
    package var value: Double
    /// Counters: the total at the end of the step.
    package var total: Double
    package var least: Double
    package var greatest: Double
}

/// A histogram between two times.
package struct RecordedHistogramStep: Hashable, Sendable {
    package var time: Int64
    package var count: Double
    package var sum: Double
    package var least: Double
    package var greatest: Double
    /// One for each quantile asked for.
    package var quantiles: [Double]
    /// Counts by the family's bounds, the last above all of them; not cumulative.
    package var classic: [Double]
}

extension RecordedSeries {
    /// The steps in which a counter or gauge has values, ascending.
    /// - Parameter step: seconds, at least 1; the first step begins with second `from`.
    package func scalarSteps(from: Int64, through: Int64, step: Int64) -> [RecordedScalarStep] {
        var steps: [RecordedScalarStep] = []
        let isCounter = kind == .counter
        for (row, total) in totals() where (from...through).contains(row.second) {
            let time = from + (row.second - from) / step * step
            guard let last = steps.last, last.time == time else {
                steps.append(
                    RecordedScalarStep(
                        time: time, value: row.value, total: total, least: row.least, greatest: row.greatest))
                continue
            }
            let index = steps.count - 1
            steps[index].value = isCounter ? last.value + row.value : row.value
            steps[index].total = total
            steps[index].least = min(last.least, row.least)
            steps[index].greatest = max(last.greatest, row.greatest)
        }
        return steps
    }

    /// All rows by second, each with the total after it.
    private func totals() -> [(row: RecordedScalar, total: Double)] {
        var rows: [(row: RecordedScalar, total: Double)] = []
        for piece in pieces {
            var total = piece.base ?? 0
            for row in piece.scalars {
                total = kind == .counter ? total + row.value : row.value
                rows.append((row, total))
            }
        }
        // Late values may stand in a later block than those after them.
        let isSorted = zip(rows, rows.dropFirst()).allSatisfy { $0.row.second <= $1.row.second }
        if isSorted { return rows }
        return rows.indices.sorted { (rows[$0].row.second, $0) < (rows[$1].row.second, $1) }.map { rows[$0] }
    }

    /// The value before second `from`; nil when there was none or it is not known.
    package func value(before from: Int64) -> Double? {
        var value: Double?
        for piece in pieces where piece.first <= from || value == nil {
            guard piece.first <= from else { return piece.base ?? value }
            value = piece.base ?? value
            for row in piece.scalars where row.second < from {
                value = kind == .counter ? (value ?? 0) + row.value : row.value
            }
        }
        return value
    }

    /// The steps in which a histogram has observations, ascending.
    package func histogramSteps(
        from: Int64, through: Int64, step: Int64, quantiles: [Double]
    ) -> [RecordedHistogramStep] {
        var rows = pieces.flatMap(\.histograms).filter { (from...through).contains($0.second) }
        rows.sort { $0.second < $1.second }
        var steps: [RecordedHistogramStep] = []
        var first = 0
        while first < rows.count {
            let time = from + (rows[first].second - from) / step * step
            var end = first
            while end < rows.count, rows[end].second < time + step { end += 1 }
            steps.append(Self.step(at: time, rows[first..<end], quantiles))
            first = end
        }
        return steps
    }

    private static func step(
        at time: Int64, _ rows: ArraySlice<RecordedHistogram>, _ quantiles: [Double]
    ) -> RecordedHistogramStep {
        var step = RecordedHistogramStep(
            time: time, count: 0, sum: 0, least: .infinity, greatest: -.infinity, quantiles: [], classic: [])
        var table = ExponentialBuckets()
        for row in rows {
            step.sum += row.sum
            step.least = min(step.least, row.least)
            step.greatest = max(step.greatest, row.greatest)
            if step.classic.isEmpty {
                step.classic = row.classic
            } else {
                for (index, weight) in row.classic.enumerated() where index < step.classic.count {
                    step.classic[index] += weight
                }
            }
            if !quantiles.isEmpty { row.add(to: &table) }
        }
        step.count = step.classic.reduce(0, +)
        let extent = ValueExtent(least: step.least, greatest: step.greatest)
        for quantile in quantiles { step.quantiles.append(extent.clamp(table.quantile(quantile) ?? 0)) }
        return step
    }
}
