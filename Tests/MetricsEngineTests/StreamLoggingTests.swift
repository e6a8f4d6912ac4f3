import MetricsEngine
import Telemetry
import Testing

@Suite("Cumulative OTLP streams over restarts")
struct StreamLoggingTests {
    private static let start: UInt64 = 5_000_000_000

    /// A sender that never restarts: what it has counted since its start, by stream.
    private struct Sender {
        var counters = [Double](repeating: 0, count: 6)
        var explicit = (0..<3).map { _ in [UInt64](repeating: 0, count: 4) }
        var exponential = (0..<2).map { _ in [UInt64](repeating: 0, count: 5) }
        var time = StreamLoggingTests.start

        mutating func work(_ generator: inout SeededGenerator) {
            time += 500_000_000
            for index in counters.indices where Bool.random(using: &generator) {
                counters[index] += Double(Int.random(in: 0..<1_000, using: &generator)) / 4
            }
            for index in explicit.indices {
                explicit[index][Int.random(in: 0..<4, using: &generator)] += UInt64.random(
                    in: 0..<50, using: &generator)
            }
            for index in exponential.indices {
                exponential[index][Int.random(in: 0..<5, using: &generator)] +=
                    UInt64.random(in: 0..<50, using: &generator)
            }
        }

        var request: MetricPoints {
            var points = MetricPoints()
            points.resources = [MetricPoints.Resource()]
            points.scopes = [MetricPoints.Scope()]
            points.metrics = [metric("sold", .sum), metric("lag", .histogram), metric("wait", .exponentialHistogram)]
            for (index, value) in counters.enumerated() { points.points.append(point(0, index, .number(value))) }
            for (index, counts) in explicit.enumerated() {
                var content = ExplicitPoint()
                content.bounds = [0.75, 6.5, Double(9 + index)]
                content.counts = counts
                content.count = counts.reduce(0, +)
                content.sum = Double(content.count) / 8
                points.points.append(point(1, index, .explicit(content)))
            }
            for (index, counts) in exponential.enumerated() {
                var content = ExponentialPoint()
                content.scale = 2
                content.offset = -3
                content.counts = counts
                content.count = counts.reduce(0, +)
                content.sum = Double(content.count) / 8
                points.points.append(point(2, index, .exponential(content)))
            }
            return points
        }

        private func metric(_ name: String, _ shape: MetricShape) -> MetricPoints.Metric {
            var metric = MetricPoints.Metric()
            metric.name = Array(name.utf8)
            metric.shape = shape
            metric.temporality = .cumulative
            metric.isMonotonic = true
            return metric
        }

        private func point(_ metric: Int, _ index: Int, _ content: MetricPoint.Content) -> MetricPoint {
            var point = MetricPoint()
            point.metric = metric
            point.attributes = [MetricLabel("n", "\(index)")]
            point.start = StreamLoggingTests.start
            point.time = time
            point.content = content
            return point
        }

        /// What a scrape must show of it.
        var expected: [String: Double] {
            var values: [String: Double] = [:]
            for (index, value) in counters.enumerated() { values[#"sold_total{n="\#(index)"}"#] = value }
            for (name, all) in [("lag", explicit), ("wait", exponential)] {
                for (index, counts) in all.enumerated() {
                    let count = Double(counts.reduce(0, +))
                    values[#"\#(name)_count{n="\#(index)"}"#] = count
                    values[#"\#(name)_sum{n="\#(index)"}"#] = count / 8
                }
            }
            return values
        }
    }

    /// The records of the log as a crash leaves them.
    private struct Log {
        var records: [MetricsLogRecord] = []

        mutating func step(_ engine: MetricsEngine) {
            records += engine.takeClosed().records
            engine.settle()
        }

        mutating func checkpoint(_ engine: MetricsEngine) {
            records = []
            engine.forEachStateRecord {
                records.append($0)
                return true
            }
        }

        func restored() -> MetricsEngine? {
            let engine = MetricsEngine()
            for record in records where !engine.restore(record) { return nil }
            engine.holdForLog()
            return engine
        }
    }

    @Test("Crashes at any moment: the totals are the sender's, to the last count", arguments: UInt64(1)...12)
    func crashes(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var sender = Sender()
        var engine = MetricsEngine()
        engine.holdForLog()
        var log = Log()
        var started: UInt64 = 0
        for _ in 0..<60 {
            sender.work(&generator)
            let report = engine.apply(
                sender.request, nowNanoseconds: Int64(sender.time), startedNanoseconds: Int64(started))
            #expect(report.rejectedCount == 0, "seed \(seed): \(report.message)")
            switch Int.random(in: 0..<8, using: &generator) {
            case 0..<3: log.step(engine)
            case 3:
                // With requests that wait, and with none.
                if Bool.random(using: &generator) { log.step(engine) }
                log.checkpoint(engine)
                if Bool.random(using: &generator) { log.step(engine) }
            case 4:
                started = sender.time
                let restored = log.restored()
                engine = try #require(restored, "seed \(seed)")
                log.checkpoint(engine)
            default: break
            }
        }
        _ = engine.apply(sender.request, nowNanoseconds: Int64(sender.time), startedNanoseconds: Int64(started))
        log.step(engine)
        #expect(snapshot(engine, at: Int64(sender.time / 1_000_000_000)) == sender.expected, "seed \(seed)")
        let last = try #require(log.restored())
        #expect(snapshot(last, at: Int64(sender.time / 1_000_000_000)) == sender.expected, "seed \(seed)")
        #expect(last.pointStreamCount == 11)
    }

    @Test("A removed series' streams are gone after a restart, too, and its value goes on")
    func removed() throws {
        var expiry = ExpiryPolicy()
        expiry.counters = 2
        let engine = MetricsEngine(expiry: expiry)
        engine.holdForLog()
        var log = Log()
        var sender = Sender()
        sender.counters[0] = 7
        _ = engine.apply(sender.request, nowNanoseconds: 10_000_000_000, startedNanoseconds: 0)
        log.step(engine)
        for second in Int64(11)..<120 {
            _ = snapshot(engine, at: second)
            log.step(engine)
        }
        #expect(engine.expiryCounts.removed == 6)
        #expect(engine.pointStreamCount == 5)
        let restored = try #require(log.restored())
        #expect(restored.pointStreamCount == 5)
        sender.counters[0] = 9
        sender.time += 1
        _ = restored.apply(sender.request, nowNanoseconds: 121_000_000_000, startedNanoseconds: 120_000_000_000)
        log.step(restored)
        #expect(snapshot(restored, at: 121)[#"sold_total{n="0"}"#] == 9)
    }

    @Test("A record that is cut or changed anywhere is refused or read, and never traps")
    func damage() throws {
        let engine = MetricsEngine()
        engine.holdForLog()
        var generator = SeededGenerator(seed: 3)
        var sender = Sender()
        sender.work(&generator)
        _ = engine.apply(sender.request, nowNanoseconds: Int64(sender.time), startedNanoseconds: 0)
        var log = Log()
        log.step(engine)
        let points = try #require(log.records.firstIndex { $0.kind == .points })
        log.checkpoint(engine)
        let streams = try #require(log.records.firstIndex { $0.kind == .streams })
        #expect(points > 0 && streams > 0)
        let definitions = log.records[..<streams].filter { $0.kind == .families || $0.kind == .series }
        let body = log.records[streams].body
        for offset in body.indices {
            let other = MetricsEngine()
            for record in definitions { #expect(other.restore(record)) }
            #expect(!other.restore(MetricsLogRecord(kind: .streams, body: Array(body[..<offset]))))
            for bit in 0..<8 {
                var changed = body
                changed[offset] ^= 1 << UInt8(bit)
                _ = other.restore(MetricsLogRecord(kind: .streams, body: changed))
                _ = other.apply(sender.request, nowNanoseconds: Int64(sender.time), startedNanoseconds: 0)
                _ = other.takeClosed()
            }
        }
    }
}
