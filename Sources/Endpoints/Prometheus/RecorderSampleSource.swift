internal import Bytes
package import MetricsEngine
package import QueryEngine
package import Telemetry

/// PromQL's samples out of the flight recorder: cumulative, one a second, as scrapes would have shown them.
///
/// What second s held is a sample at the end of that second, (s + 1) * 1000 ms.
package struct RecorderSampleSource: SampleSource {
    private let engine: MetricsEngine
    /// Nil when nothing is recorded.
    private let segments: @Sendable () -> (any RecordedSegments)?
    /// Unix nanoseconds.
    private let now: @Sendable () -> UInt64

    package init(
        engine: MetricsEngine, segments: @escaping @Sendable () -> (any RecordedSegments)?,
        now: @escaping @Sendable () -> UInt64
    ) {
        self.engine = engine
        self.segments = segments
        self.now = now
    }

    package func series(matching matchers: [LabelMatcher], from: Int64, through: Int64) throws -> [SampledSeries] {
        let set = try MatcherSet(matchers)
        let range = Self.seconds(from: from, through: through)
        let answer = try read(matchers, range)
        var found: [SampledSeries] = []
        var samples = 0
        for series in answer.series {
            let labels = series.labels
            for totals in series.totals(from: range.first, through: range.last, blocks: answer.blocks)
            where !totals.seconds.isEmpty {
                let all = Self.labels(labels, of: totals)
                guard set.matches(all) else { continue }
                found.append(
                    SampledSeries(
                        labels: all, timestamps: totals.seconds.map { ($0 + 1) * 1_000 }, values: totals.values))
                samples += totals.seconds.count
            }
            // The evaluation refuses so many; there is no point in gathering more.
            if samples > Limits.querySamples || found.count > Limits.querySeries { break }
        }
        return found
    }

    /// By the blocks' contents alone: a label set without a sample of its own in the range may be among them.
    package func labelSets(
        matching matchers: [LabelMatcher], from: Int64, through: Int64
    ) throws -> [[(name: String, value: String)]] {
        let set = try MatcherSet(matchers)
        let answer = try read(matchers, Self.seconds(from: from, through: through))
        var found: [[(name: String, value: String)]] = []
        for series in answer.series {
            let labels = series.labels
            for (index, name) in series.sampleNames.enumerated() {
                let isBucket = series.kind == .histogram && index == 0
                for bound in isBucket ? series.bounds + [.infinity] : [nil] {
                    let all = Self.labels(labels, named: name, bound: bound)
                    if set.matches(all) { found.append(all) }
                }
            }
            guard found.count <= Limits.querySeries else { throw SampleSourceError.tooManySeries }
        }
        return found
    }

    private func read(_ matchers: [LabelMatcher], _ range: (first: Int64, last: Int64)) throws -> RecordedAnswer {
        guard let segments = segments() else { throw ReadError.storage("the recorder is off") }
        var selector = RecordSelector()
        for matcher in matchers {
            // A bucket's bound is no label of the recorded series; the set tests it.
            if matcher.name == "le" { continue }
            let condition = RecordMatcher(label: matcher.name, test: try Self.test(matcher))
            if matcher.name == "__name__" {
                selector.sampleNames.append(condition)
            } else {
                selector.labels.append(condition)
            }
        }
        do {
            return try engine.recorded(
                selector, from: range.first, through: range.last, segments: segments, limit: Limits.querySeries,
                nowNanoseconds: Int64(clamping: now()), budget: QueryBudget())
        } catch {
            switch error {
            case .tooManySeries: throw SampleSourceError.tooManySeries
            case .stopped(let stop): throw ReadError.stopped(stop)
            }
        }
    }

    private static func test(_ matcher: LabelMatcher) throws -> RecordMatcher.Test {
        switch matcher.kind {
        case .equal: .equal(matcher.value)
        case .notEqual: .notEqual(matcher.value)
        case .matches: .matches(try LinearRegex(matcher.value))
        case .matchesNot: .matchesNot(try LinearRegex(matcher.value))
        }
    }

    /// The seconds whose samples lie in a range of milliseconds.
    private static func seconds(from: Int64, through: Int64) -> (first: Int64, last: Int64) {
        let first = (Double(from) / 1_000).rounded(.up) - 1
        let last = (Double(through) / 1_000).rounded(.down) - 1
        return (Int64(max(first, -1e15)), Int64(min(last, 1e15)))
    }

    private static func labels(
        _ labels: [(name: String, value: String)], of totals: RecordedTotals
    ) -> [(name: String, value: String)] {
        Self.labels(labels, named: totals.name, bound: totals.bound)
    }

    private static func labels(
        _ labels: [(name: String, value: String)], named name: String, bound: Double?
    ) -> [(name: String, value: String)] {
        var all = labels.filter { !$0.value.isEmpty }
        all.append(("__name__", name))
        if let bound {
            all.append(("le", bound == .infinity ? "+Inf" : "\(bound)"))  // as on a scrape
        }
        return all.sorted { $0.name < $1.name }
    }
}
