internal import Bytes
internal import Glibc

/// Functions. Each drops the name unless said otherwise.
extension PromEvaluation {
    func call(
        _ node: Int, _ function: PromFunction, _ arguments: [Int], at time: Int64
    ) throws(PromQueryError) -> [PromSample] {
        switch function {
        case .absent, .absentOverTime: return try absent(function, arguments[0], at: time)
        case .timestamp: return try timestamps(arguments[0], at: time)
        case .vector:
            return [PromSample(series: table.number(of: .empty), value: try scalar(arguments[0], at: time))]
        case .sort, .sortDescending:
            let vector = try vector(arguments[0], at: time)
            return PromSorting.sorted(vector, isAscending: function == .sort)
        case .histogramQuantile:
            let quantile = try scalar(arguments[0], at: time)
            return try histogramQuantile(node, quantile, try vector(arguments[1], at: time))
        case .labelReplace: return try labelReplace(node, arguments, at: time)
        case .labelJoin: return try labelJoin(node, arguments, at: time)
        case .quantileOverTime:
            let quantile = try scalar(arguments[0], at: time)
            return try overRange(arguments[1], keepsName: false, at: time) { window in
                PromQuantile.value(quantile, of: Array(window.values))
            }
        case .predictLinear:
            let seconds = try scalar(arguments[1], at: time)
            return try overRange(arguments[0], keepsName: false, at: time) { window in
                guard window.values.count >= 2 else { return nil }
                let line = LinearRegression(window, origin: time)
                return line.slope * seconds + line.intercept
            }
        default:
            guard type(arguments[0]) == .matrix else { return try mapped(function, arguments, at: time) }
            return try overRange(arguments[0], keepsName: function == .lastOverTime, at: time) { window in
                RangeFunction.value(function, window)
            }
        }
    }

    /// Functions of each value by itself.
    private func mapped(
        _ function: PromFunction, _ arguments: [Int], at time: Int64
    ) throws(PromQueryError) -> [PromSample] {
        var result = try vector(arguments[0], at: time)
        var parameters: [Double] = []
        for argument in arguments.dropFirst() { parameters.append(try scalar(argument, at: time)) }
        if function == .clamp, parameters[1] < parameters[0] { return [] }
        for index in result.indices {
            let value = result[index].value
            result[index] = PromSample(
                series: table.withoutName(result[index].series),
                value: ValueFunction.value(function, value, parameters))
        }
        return try unique(result)
    }

    private func timestamps(_ argument: Int, at time: Int64) throws(PromQueryError) -> [PromSample] {
        var result: [PromSample]
        if case .instant(let selector) = kind(argument) {
            result = try instant(argument, selector, at: time).map {
                PromSample(series: $0.sample.series, value: Double($0.timestamp) / 1_000)
            }
        } else {
            result = try vector(argument, at: time).map {
                PromSample(series: $0.series, value: Double(time) / 1_000)
            }
        }
        for index in result.indices { result[index].series = table.withoutName(result[index].series) }
        return try unique(result)
    }

    /// One sample of value 1 when there is none; its labels are those that the selector demands.
    private func absent(
        _ function: PromFunction, _ argument: Int, at time: Int64
    ) throws(PromQueryError) -> [PromSample] {
        let isAbsent =
            function == .absent
            ? try vector(argument, at: time).isEmpty
            : try overRange(argument, keepsName: true, at: time) { _ in 1 }.isEmpty
        guard isAbsent else { return [] }
        var matchers: [LabelMatcher] = []
        switch kind(argument) {
        case .instant(let selector), .range(let selector, _): matchers = selector.matchers
        default: break
        }
        var labels = LabelSet.empty
        var seen: Set<String> = []
        for matcher in matchers where matcher.name != "__name__" {
            let isFirst = matcher.kind == .equal && seen.insert(matcher.name).inserted
            labels[matcher.name] = isFirst ? matcher.value : ""
        }
        return [PromSample(series: table.number(of: labels), value: 1)]
    }

    // MARK: Labels

    private func labelReplace(
        _ node: Int, _ arguments: [Int], at time: Int64
    ) throws(PromQueryError) -> [PromSample] {
        let texts = arguments.dropFirst().map { string($0) }
        let (target, replacement, origin, pattern) = (texts[0], texts[1], texts[2], texts[3])
        let regex: LinearRegex
        do { regex = try LinearRegex(pattern) } catch {
            throw .execution("invalid regular expression in label_replace(): \(pattern): \(error)")
        }
        guard PromLabelName.isValid(target) else {
            throw .execution("invalid destination label name in label_replace(): \(target)")
        }
        return try relabelled(node, try vector(arguments[0], at: time)) { labels in
            guard let match = regex.firstMatch(in: labels[origin]) else { return }
            labels[target] = ReplacementTemplate.expanded(replacement, match, names: regex.groupNames)
        }
    }

    private func labelJoin(_ node: Int, _ arguments: [Int], at time: Int64) throws(PromQueryError) -> [PromSample] {
        let texts = arguments.dropFirst().map { string($0) }
        let (target, separator, origins) = (texts[0], texts[1], texts.dropFirst(2))
        guard PromLabelName.isValid(target) else {
            throw .execution("invalid destination label name in label_join(): \(target)")
        }
        if let bad = origins.first(where: { !PromLabelName.isValid($0) }) {
            throw .execution("invalid source label name in label_join(): \(bad)")
        }
        return try relabelled(node, try vector(arguments[0], at: time)) { labels in
            labels[target] = origins.map { labels[$0] }.joined(separator: separator)
        }
    }

    private func relabelled(
        _ node: Int, _ vector: [PromSample], _ change: (inout LabelSet) -> Void
    ) throws(PromQueryError) -> [PromSample] {
        var result = vector
        for index in result.indices {
            let pair = SeriesPair(left: result[index].series, right: 0)
            if let known = renamed[node]?[pair] {
                result[index].series = known
                continue
            }
            var labels = table[pair.left]
            change(&labels)
            result[index].series = table.number(of: labels)
            renamed[node, default: [:]][pair] = result[index].series
        }
        return try unique(result)
    }
}
