/// What a counter was incremented by in one second when its lines have rates: how many lines there were of each
/// increment, so that a million lines at `@0.15` come to the nearest double and not to what a million roundings leave.
struct SampledCount {
    private struct Run {
        var increment = 0.0
        var lines = 0.0
    }

    /// Increments told apart; those beyond are added up as they come.
    private var runs: (Run, Run, Run, Run) = (Run(), Run(), Run(), Run())
    private var rest = CompensatedSum()

    init(_ sum: Double) { rest.add(sum) }

    mutating func add(_ increment: Double) {
        var runs = runs  // see ShardCore.countLine
        defer { self.runs = runs }
        if Self.count(increment, &runs.0) || Self.count(increment, &runs.1) || Self.count(increment, &runs.2)
            || Self.count(increment, &runs.3)
        {
            return
        }
        rest.add(increment)
    }

    private static func count(_ increment: Double, _ run: inout Run) -> Bool {
        guard run.lines == 0 || run.increment == increment else { return false }
        run.increment = increment
        run.lines += 1
        return true
    }

    var total: Double {
        var sum = rest
        for run in [runs.0, runs.1, runs.2, runs.3] { sum.add(run.increment * run.lines) }
        return sum.value
    }
}

/// A sum that carries what rounding takes from it.
///
/// Source: T. J. Dekker, "A floating-point technique for extending the available precision", 1971.
struct CompensatedSum {
    /// The nearest double.
    private(set) var value = 0.0
    private(set) var remainder = 0.0

    init() {}

    init(_ value: Double, remainder: Double) {
        self.value = value
        self.remainder = remainder
    }

    mutating func add(_ addend: Double) {
        let sum = value + addend
        guard sum.isFinite else {
            (value, remainder) = (sum, 0)
            return
        }
        let bigger = sum - value
        let lost = (value - (sum - bigger)) + (addend - bigger)
        let carried = remainder + lost
        value = sum + carried
        remainder = carried - (value - sum)
    }
}
