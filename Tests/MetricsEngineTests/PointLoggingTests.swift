import MetricsEngine
import Telemetry
import Testing

@Suite("OTLP points and the log")
struct PointLoggingTests {
    private func request(counts: [UInt64], bounds: [Double]) -> MetricPoints {
        var metric = MetricPoints.Metric()
        metric.name = Array("lag".utf8)
        metric.shape = .histogram
        metric.temporality = .delta
        var explicit = ExplicitPoint()
        explicit.counts = counts
        explicit.bounds = bounds
        explicit.count = counts.reduce(0, +)
        explicit.sum = 7
        var point = MetricPoint()
        point.start = 3_500_000_000
        point.time = 9_000_000_000
        point.content = .explicit(explicit)
        var points = MetricPoints()
        points.resources = [MetricPoints.Resource()]
        points.scopes = [MetricPoints.Scope()]
        points.metrics = [metric]
        points.points = [point]
        return points
    }

    private struct Shown: Equatable {
        var bounds: [Double] = []
        var counts: [Double] = []
        var hasNative = false
    }

    private func shown(_ engine: MetricsEngine) -> Shown {
        var shown = Shown()
        engine.forEachSeries(nowNanoseconds: 0) {
            shown.bounds = $0.bounds
        } series: {
            shown.counts = $0.classic
            shown.hasNative = $0.nativeBuckets(schema: 5) != nil
        }
        return shown
    }

    @Test("Own bounds and counts come back, and estimates are no native histogram afterwards either")
    func restore() {
        let engine = MetricsEngine()
        engine.holdForLog()
        let report = engine.apply(
            request(counts: [1, 2, 3], bounds: [0.75, 6.5]), nowNanoseconds: 10_000_000_000, startedNanoseconds: 0)
        #expect(report.applied == 1)
        #expect(shown(engine) == Shown(), "what the log does not have is not shown")
        let seconds = engine.takeClosed().records
        engine.settle()
        let expected = Shown(bounds: [0.75, 6.5], counts: [1, 2, 3])
        #expect(shown(engine) == expected)
        var state: [MetricsLogRecord] = []
        engine.forEachStateRecord {
            state.append($0)
            return true
        }
        for records in [seconds, state] {
            let other = MetricsEngine()
            for record in records { #expect(other.restore(record)) }
            #expect(shown(other) == expected)
        }
    }

    @Test("Lists of bounds beyond the limit: counts go up to the next bound of the unit's list")
    func tooManyBounds() {
        let engine = MetricsEngine()
        let bounds = (1...40).map { Double($0) }
        _ = engine.apply(
            request(counts: Array(repeating: 1, count: 41), bounds: bounds), nowNanoseconds: 10_000_000_000,
            startedNanoseconds: 0)
        let result = shown(engine)
        #expect(result.bounds == ClassicBuckets.wide.bounds)
        #expect(result.counts.reduce(0, +) == 41)
        #expect(zip(result.bounds, result.counts).first { $0.0 == 10 }?.1 == 5)
    }

    @Test("With a log that stands still, requests are refused from a limit on")
    func full() {
        let engine = MetricsEngine()
        engine.holdForLog()
        for _ in 0..<Limits.pointRequestsWaiting {
            #expect(!engine.isPointQueueFull)
            _ = engine.apply(
                request(counts: [1, 2], bounds: [0.75]), nowNanoseconds: 10_000_000_000, startedNanoseconds: 0)
        }
        #expect(engine.isPointQueueFull)
        _ = engine.takeClosed()
        #expect(!engine.isPointQueueFull)
    }
}
