internal import Telemetry

/// One query on its way: evaluates nodes step by step, and remembers between steps what does not change.
///
/// Belongs to one thread. Recursion is bounded by the height of the expression.
final class PromEvaluation {
    let expression: PromExpression
    private let source: any SampleSource
    /// Of the whole query, unix milliseconds.
    private let from: Int64
    private let through: Int64
    private let budget: QueryBudget
    private var samplesHeld = 0

    var table = LabelTable()
    /// By node; filled when a node is first reached.
    var windows: [Int: SelectorWindow] = [:]
    var groupings: [Int: LabelGrouping] = [:]
    /// By node: the result's series by that of the operand, or of both.
    var renamed: [Int: [SeriesPair: Int]] = [:]
    /// By node: which series of the operand is shown under a name.
    var owners: [Int: [Int: Int]] = [:]
    private var stamps: [Int] = []
    private var stamp = 0

    struct SeriesPair: Hashable {
        var left: Int
        var right: Int
    }

    init(
        _ expression: PromExpression, source: any SampleSource, from: Int64, through: Int64, budget: QueryBudget
    ) {
        self.expression = expression
        self.source = source
        self.from = from
        self.through = through
        self.budget = budget
    }

    func kind(_ node: Int) -> PromExpression.Kind { expression.nodes[node].kind }
    func type(_ node: Int) -> PromType { expression.nodes[node].type }

    // MARK: Limits

    func checkBudget() throws(PromQueryError) {
        do { try budget.charge(0) } catch { throw PromQueryError(reading: ReadError.stopped(error)) }
    }

    func hold(_ samples: Int) throws(PromQueryError) {
        samplesHeld += samples
        guard samplesHeld <= Limits.querySamples else {
            throw .execution("query processing would load too many samples into memory in query execution")
        }
    }

    // MARK: Nodes

    func scalar(_ node: Int, at time: Int64) throws(PromQueryError) -> Double {
        switch kind(node) {
        case .number(let value): return value
        case .negation(let operand): return -(try scalar(operand, at: time))
        case .binary(let binary):
            let left = try scalar(binary.left, at: time)
            let right = try scalar(binary.right, at: time)
            guard binary.operation.isComparison else { return binary.operation.value(left, right) }
            return binary.operation.holds(left, right) ? 1 : 0
        case .call(.time, _): return Double(time) / 1_000
        case .call(.scalar, let arguments):
            let vector = try vector(arguments[0], at: time)
            return vector.count == 1 ? vector[0].value : .nan
        case .call(.pi, _): return .pi
        default: return .nan
        }
    }

    func string(_ node: Int) -> String {
        guard case .string(let value) = kind(node) else { return "" }
        return value
    }

    func vector(_ node: Int, at time: Int64) throws(PromQueryError) -> [PromSample] {
        try checkBudget()
        switch kind(node) {
        case .instant(let selector): return try instant(node, selector, at: time).map(\.sample)
        case .negation(let operand): return try negated(node, operand, at: time)
        case .binary(let binary): return try self.binary(node, binary, at: time)
        case .aggregation(let aggregation): return try aggregate(node, aggregation, at: time)
        case .call(let function, let arguments): return try call(node, function, arguments, at: time)
        case .number, .string, .range: return []
        }
    }

    private func negated(_ node: Int, _ operand: Int, at time: Int64) throws(PromQueryError) -> [PromSample] {
        var result = try vector(operand, at: time)
        for index in result.indices {
            result[index].series = try shown(result[index].series, by: node)
            result[index].value = -result[index].value
        }
        return result
    }

    // MARK: Selectors

    private func reference(_ selector: PromSelector, at time: Int64) -> Int64 {
        let base =
            switch selector.at {
            case .time(let fixed): fixed
            case .start: from
            case .end: through
            case nil: time
            }
        return base - (selector.offset ?? 0)
    }

    /// Moves the window of a selector; finds its series the first time.
    private func move(
        _ node: Int, _ selector: PromSelector, width: Int64, to reference: Int64
    ) throws(PromQueryError) {
        if windows[node] == nil {
            let first = self.reference(selector, at: from) - width
            let last = self.reference(selector, at: through)
            windows[node] = SelectorWindow(
                tracks: try read(selector.matchers, from: first, through: last), width: width)
        }
        windows[node]?.advance(to: reference)
    }

    private func read(
        _ matchers: [LabelMatcher], from: Int64, through: Int64
    ) throws(PromQueryError) -> [SelectorWindow.Track] {
        let found: [SampledSeries]
        do { found = try source.series(matching: matchers, from: from, through: through) } catch {
            throw PromQueryError(reading: error)
        }
        guard found.count <= Limits.querySeries else {
            throw .execution("a selector found \(found.count) series, more than \(Limits.querySeries); narrow it")
        }
        var tracks: [SelectorWindow.Track] = []
        tracks.reserveCapacity(found.count)
        for series in found where series.timestamps.count == series.values.count {
            try hold(series.timestamps.count)
            let number = table.number(of: LabelSet(series.labels))
            tracks.append(SelectorWindow.Track(series: number, timestamps: series.timestamps, values: series.values))
        }
        return tracks
    }

    /// The last sample of each series in the time that a selector looks back, with its own time.
    func instant(
        _ node: Int, _ selector: PromSelector, at time: Int64
    ) throws(PromQueryError) -> [(sample: PromSample, timestamp: Int64)] {
        try move(node, selector, width: PromTime.lookbackMilliseconds, to: reference(selector, at: time))
        var result: [(sample: PromSample, timestamp: Int64)] = []
        for track in windows[node]?.tracks ?? [] where track.high > track.low {
            let last = track.high - 1
            result.append((PromSample(series: track.series, value: track.values[last]), track.timestamps[last]))
        }
        return result
    }

    /// Calls `body` with the window of each series that has samples in it; what it returns becomes a sample.
    func overRange(
        _ node: Int, keepsName: Bool, at time: Int64, _ body: (RangeWindow) -> Double?
    ) throws(PromQueryError) -> [PromSample] {
        guard case .range(let selector, let width) = kind(node) else { return [] }
        let end = reference(selector, at: time)
        try move(node, selector, width: width, to: end)
        let tracks = windows[node]?.tracks ?? []
        var result: [PromSample] = []
        var newlyShown: [(track: Int, series: Int)] = []
        for (index, track) in tracks.enumerated() where track.high > track.low {
            guard let value = body(RangeWindow(track, from: end - width, through: end)) else { continue }
            var series = track.series
            if !keepsName, let known = track.shown {
                series = known
            } else if !keepsName {
                series = try shown(track.series, by: node)
                newlyShown.append((index, series))
            }
            result.append(PromSample(series: series, value: value))
        }
        for (index, series) in newlyShown { windows[node]?.tracks[index].shown = series }
        return result
    }

    /// The samples of a range selector as they are.
    func rangeSamples(_ node: Int, at time: Int64) throws(PromQueryError) -> [SampledSeries] {
        guard case .range(let selector, let width) = kind(node) else { return [] }
        try move(node, selector, width: width, to: reference(selector, at: time))
        let tracks = (windows[node]?.tracks ?? []).filter { $0.high > $0.low }
        return tracks.sorted { LabelSet.precedes(table[$0.series], table[$1.series]) }.map { track in
            SampledSeries(
                labels: table[track.series].pairs, timestamps: Array(track.timestamps[track.low..<track.high]),
                values: Array(track.values[track.low..<track.high]))
        }
    }

    // MARK: Names

    private static let duplicate = "vector cannot contain metrics with the same labelset"

    /// The series without its name. Two series of an operand may not become one, at whatever steps they have samples.
    func shown(_ series: Int, by node: Int) throws(PromQueryError) -> Int {
        let result = table.withoutName(series)
        let owner = owners[node]?[result]
        guard owner == nil || owner == series else { throw .execution(Self.duplicate) }
        if owner == nil { owners[node, default: [:]][result] = series }
        return result
    }

    /// Refuses a vector that holds a series twice.
    func unique(_ vector: [PromSample]) throws(PromQueryError) -> [PromSample] {
        if stamps.count < table.sets.count {
            stamps += Array(repeating: 0, count: table.sets.count - stamps.count)
        }
        stamp += 1
        for sample in vector {
            guard stamps[sample.series] != stamp else { throw .execution(Self.duplicate) }
            stamps[sample.series] = stamp
        }
        return vector
    }
}
