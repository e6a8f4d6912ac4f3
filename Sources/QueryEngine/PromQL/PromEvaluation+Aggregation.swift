/// Aggregations.
extension PromEvaluation {
    func aggregate(
        _ node: Int, _ aggregation: PromAggregation, at time: Int64
    ) throws(PromQueryError) -> [PromSample] {
        var parameter = 0.0
        if let place = aggregation.parameter, type(place) == .scalar { parameter = try scalar(place, at: time) }
        var vector = try vector(aggregation.operand, at: time)
        var labels = aggregation.labels
        if aggregation.operation == .countValues {
            let label = aggregation.parameter.map { string($0) } ?? ""
            guard PromLabelName.isValid(label) else { throw .execution("invalid label name \"\(label)\"") }
            // Every value may make a label set that stays in the table.
            try hold(vector.count)
            vector = valuesAsLabels(vector, label)
            if !aggregation.isWithout { labels.append(label) }
        }
        var grouping = groupings[node] ?? LabelGrouping(labels, keeps: !aggregation.isWithout)
        defer { groupings[node] = grouping }
        switch aggregation.operation {
        case .topk, .bottomk:
            guard parameter >= -9.2233720368547748e18, parameter <= 9.2233720368547748e18 else {
                throw .execution("Scalar value \(PromNumberText.text(parameter)) overflows int64")
            }
            return members(of: vector, &grouping).flatMap { _, samples in
                let limit = Int(max(0, min(parameter, Double(samples.count))))
                var heap = TopHeap(limit: limit, isBottom: aggregation.operation == .bottomk)
                for sample in samples { heap.offer(sample) }
                return heap.sorted
            }
        case .quantile:
            return members(of: vector, &grouping).map { group, samples in
                let value = PromQuantile.value(parameter, of: samples.map(\.value))
                return PromSample(series: grouping.labels[group], value: value)
            }
        default: return totals(of: vector, aggregation.operation, &grouping)
        }
    }

    private func valuesAsLabels(_ vector: [PromSample], _ label: String) -> [PromSample] {
        vector.map { sample in
            var labels = table[sample.series]
            labels[label] = PromNumberText.decimal(sample.value)
            return PromSample(series: table.number(of: labels), value: sample.value)
        }
    }

    /// The samples of each group, groups in the order of their first.
    private func members(
        of vector: [PromSample], _ grouping: inout LabelGrouping
    ) -> [(group: Int, samples: [PromSample])] {
        var places: [Int: Int] = [:]
        var result: [(group: Int, samples: [PromSample])] = []
        for sample in vector {
            let group = grouping.group(of: sample.series, in: &table)
            if let place = places[group] {
                result[place].samples.append(sample)
            } else {
                places[group] = result.count
                result.append((group, [sample]))
            }
        }
        return result
    }

    private func totals(
        of vector: [PromSample], _ operation: PromAggregator, _ grouping: inout LabelGrouping
    ) -> [PromSample] {
        var order: [Int] = []
        var totals: [GroupTotal?] = Array(repeating: nil, count: grouping.count)
        for sample in vector {
            let group = grouping.group(of: sample.series, in: &table)
            if group >= totals.count { totals += Array(repeating: nil, count: group + 1 - totals.count) }
            if totals[group] == nil {
                order.append(group)
                totals[group] = GroupTotal(first: sample.value)
            } else {
                totals[group]?.add(sample.value, operation)
            }
        }
        return order.map { group in
            PromSample(series: grouping.labels[group], value: totals[group]?.result(operation) ?? .nan)
        }
    }
}

/// What an aggregation keeps of one group.
private struct GroupTotal {
    private var count = 1.0
    /// The sum, the extreme, or the sum of squared distances from the mean.
    private var value: Double
    private var mean: Double
    private var squares = 0.0

    init(first: Double) {
        value = first
        mean = first
    }

    mutating func add(_ next: Double, _ operation: PromAggregator) {
        count += 1
        switch operation {
        case .sum: value += next
        case .min: if value > next || value.isNaN { value = next }
        case .max: if value < next || value.isNaN { value = next }
        case .avg:
            if mean.isInfinite {
                // An infinite mean stays, unless the other infinity or NaN comes.
                if next.isInfinite, (mean > 0) == (next > 0) { break }
                if next.isFinite { break }
            }
            mean += next / count - mean / count
        case .stddev, .stdvar:
            let delta = next - mean
            mean += delta / count
            squares += delta * (next - mean)
        default: break
        }
    }

    func result(_ operation: PromAggregator) -> Double {
        switch operation {
        case .sum, .min, .max: value
        case .avg: mean
        case .count, .countValues: count
        case .group: 1
        case .stdvar: squares / count
        case .stddev: (squares / count).squareRoot()
        case .topk, .bottomk, .quantile: .nan
        }
    }
}
