/// Binary operators.
extension PromEvaluation {
    func binary(_ node: Int, _ binary: PromBinary, at time: Int64) throws(PromQueryError) -> [PromSample] {
        switch (type(binary.left), type(binary.right)) {
        case (.scalar, _):
            let scalar = try scalar(binary.left, at: time)
            return try withScalar(binary, try vector(binary.right, at: time), scalar, isScalarLeft: true)
        case (_, .scalar):
            let vector = try vector(binary.left, at: time)
            return try withScalar(binary, vector, try scalar(binary.right, at: time), isScalarLeft: false)
        default:
            let left = try vector(binary.left, at: time)
            let right = try vector(binary.right, at: time)
            var grouping = groupings[node] ?? LabelGrouping(binary.matching.labels, keeps: binary.matching.isOn)
            defer { groupings[node] = grouping }
            if binary.operation.isSetOperator { return try setOperation(binary, left, right, &grouping) }
            return try unique(try matched(node, binary, left, right, &grouping))
        }
    }

    /// A comparison lets the vector's element through, on whichever side it stands.
    private func withScalar(
        _ binary: PromBinary, _ vector: [PromSample], _ scalar: Double, isScalarLeft: Bool
    ) throws(PromQueryError) -> [PromSample] {
        let operation = binary.operation
        var result: [PromSample] = []
        result.reserveCapacity(vector.count)
        for sample in vector {
            let (left, right) = isScalarLeft ? (scalar, sample.value) : (sample.value, scalar)
            let holds = operation.holds(left, right)
            guard holds || binary.returnsBool else { continue }
            var value = operation.isComparison ? sample.value : operation.value(left, right)
            if binary.returnsBool { value = holds ? 1 : 0 }
            let dropsName = operation.dropsName || binary.returnsBool
            let series = dropsName ? table.withoutName(sample.series) : sample.series
            result.append(PromSample(series: series, value: value))
        }
        return try unique(result)
    }

    private func setOperation(
        _ binary: PromBinary, _ left: [PromSample], _ right: [PromSample], _ grouping: inout LabelGrouping
    ) throws(PromQueryError) -> [PromSample] {
        let wanted = binary.operation == .or ? left : right
        var groups: Set<Int> = []
        for sample in wanted { groups.insert(grouping.group(of: sample.series, in: &table)) }
        func isIn(_ sample: PromSample) -> Bool {
            groups.contains(grouping.group(of: sample.series, in: &table))
        }
        switch binary.operation {
        case .or: return try unique(left + right.filter { !isIn($0) })
        case .and: return left.filter { isIn($0) }
        default: return left.filter { !isIn($0) }
        }
    }

    /// Arithmetic and comparison between elements whose labels match. The side of the one has no group twice.
    private func matched(
        _ node: Int, _ binary: PromBinary, _ left: [PromSample], _ right: [PromSample],
        _ grouping: inout LabelGrouping
    ) throws(PromQueryError) -> [PromSample] {
        if left.isEmpty || right.isEmpty { return [] }
        let matching = binary.matching
        let isSwapped = matching.cardinality == .oneToMany
        let (many, one) = isSwapped ? (right, left) : (left, right)
        let partners = try partners(one, &grouping, side: isSwapped ? "left" : "right")
        var taken: Set<SeriesPair> = []
        var result: [PromSample] = []
        for sample in many {
            let group = grouping.group(of: sample.series, in: &table)
            guard let partner = partners[group] else { continue }
            let (leftValue, rightValue) =
                isSwapped ? (partner.value, sample.value) : (sample.value, partner.value)
            let holds = binary.operation.holds(leftValue, rightValue)
            guard holds || binary.returnsBool else { continue }
            let value =
                binary.returnsBool ? (holds ? 1 : 0) : binary.operation.value(leftValue, rightValue)
            let series = resultSeries(node, binary, sample.series, partner.series)
            let isExplicit = matching.cardinality != .oneToOne
            guard taken.insert(SeriesPair(left: group, right: isExplicit ? series : 0)).inserted else {
                throw .execution(
                    isExplicit
                        ? "multiple matches for labels: grouping labels must ensure unique matches"
                        : "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
            }
            result.append(PromSample(series: series, value: value))
        }
        return result
    }

    private func partners(
        _ vector: [PromSample], _ grouping: inout LabelGrouping, side: String
    ) throws(PromQueryError) -> [Int: PromSample] {
        var result: [Int: PromSample] = [:]
        for sample in vector {
            let group = grouping.group(of: sample.series, in: &table)
            if let other = result.updateValue(sample, forKey: group) {
                throw .execution(
                    "found duplicate series for the match group \(table[grouping.labels[group]].description) "
                        + "on the \(side) hand-side of the operation: [\(table[sample.series].description), "
                        + "\(table[other.series].description)];many-to-many matching not allowed: matching labels "
                        + "must be unique on one side")
            }
        }
        return result
    }

    private func resultSeries(_ node: Int, _ binary: PromBinary, _ many: Int, _ one: Int) -> Int {
        let matching = binary.matching
        // Without labels to include the partner does not show in the result.
        let pair = SeriesPair(left: many, right: matching.included.isEmpty ? 0 : one)
        if let known = renamed[node]?[pair] { return known }
        var labels = table[many]
        if binary.operation.dropsName || binary.returnsBool { labels = labels.withoutName }
        if matching.cardinality == .oneToOne {
            let names = Set(matching.labels)
            labels = matching.isOn ? labels.keeping(names) : labels.dropping(names)
        }
        for name in matching.included { labels[name] = table[one][name] }
        if binary.returnsBool { labels = labels.withoutName }
        let series = table.number(of: labels)
        renamed[node, default: [:]][pair] = series
        return series
    }
}
