import MetricsEngine
import Telemetry
import Testing

@Suite("Limits, cardinality, conflicts, rates")
struct LimitTests {
    private func flush(_ shard: MetricsShard, _ engine: MetricsEngine, _ second: Int64) {
        shard.flush(nowNanoseconds: second * 1_000_000_000)
        engine.advance(nowNanoseconds: second * 1_000_000_000)
    }

    @Test("Beyond a family's limit the sum is exact and the allowed labels stay")
    func overflow() {
        var limits = SeriesLimits(series: 1_000, seriesPerFamily: 10, families: 10)
        limits.overflowLabels = ["service", "status"]
        let engine = MetricsEngine(limits: limits)
        let shard = engine.makeShard()
        for round in 0..<3 {
            for key in 0..<100 {
                feed(
                    shard, engine, "c", .counter, Double(key + round),
                    tags: "user:\(key),status:\(key % 2 == 0 ? 200 : 500),service:shop,zone:a")
            }
        }
        flush(shard, engine, 10)
        let shown = snapshot(engine, at: 10)
        #expect(shown.values.reduce(0, +) == Double(3 * (99 * 100 / 2) + 100 * 3))
        #expect(shown.count == 12)
        let even = shown[#"c_total{crest_overflow="true",service="shop",status="200"}"#]
        let expected = stride(from: 10, to: 100, by: 2).reduce(0) { $0 + Double($1 * 3 + 3) }
        #expect(even == expected)
        #expect(overflowed(engine) == [0, 90, 0, 0])
        #expect(engine.seriesCounts.series == 10)
    }

    /// Keys refused by the limits on the whole, a family, a source, and families.
    private func overflowed(_ engine: MetricsEngine) -> [UInt64] {
        let counts = engine.seriesCounts.overflowed
        return [counts.total, counts.family, counts.source, counts.families]
    }

    @Test("A kept label that explodes itself ends in the family's plain overflow series")
    func overflowOfOverflow() {
        let engine = MetricsEngine(limits: SeriesLimits(series: 1_000, seriesPerFamily: 1, families: 10))
        let shard = engine.makeShard()
        for key in 0..<2_000 { feed(shard, engine, "c", .counter, 1, tags: "service:s\(key)") }
        flush(shard, engine, 10)
        let shown = snapshot(engine, at: 10)
        #expect(shown.count == 1 + Limits.overflowSeriesPerFamily + 1)
        #expect(shown[#"c_total{crest_overflow="true"}"#] == Double(2_000 - 1 - Limits.overflowSeriesPerFamily))
        #expect(shown.values.reduce(0, +) == 2_000)
    }

    @Test("One source cannot take the room of the others; the whole and the families are bounded too")
    func sources() {
        var limits = SeriesLimits(series: 60, seriesPerFamily: 1_000, families: 2)
        limits.seriesPerSource = 20
        let engine = MetricsEngine(limits: limits)
        let shard = engine.makeShard()
        for key in 0..<100 { feed(shard, engine, "c", .counter, 1, tags: "service:loud,k:\(key)") }
        for key in 0..<10 { feed(shard, engine, "c", .counter, 1, tags: "job:quiet,k:\(key)") }
        flush(shard, engine, 10)
        #expect(overflowed(engine) == [0, 0, 80, 0])
        for key in 0..<100 { feed(shard, engine, "g", .gauge, 1, tags: "k:\(key)") }
        feed(shard, engine, "third", .counter, 7)
        flush(shard, engine, 11)
        #expect(overflowed(engine) == [70, 0, 80, 1])
        let report = engine.cardinality(top: 5, nowNanoseconds: 11_000_000_000)
        #expect(report.sources.map(\.name) == ["loud", "quiet"])
        #expect(report.sources.map(\.series) == [20, 10])
        #expect(report.sources.first?.refused == 80)
        #expect(snapshot(engine, at: 11)[#"crest_overflow_total{crest_overflow="true"}"#] == 7)
    }

    @Test("Room that expires is given to others")
    func roomAfterExpiry() {
        var policy = ExpiryPolicy()
        policy.counters = 5
        let engine = MetricsEngine(
            limits: SeriesLimits(series: 100, seriesPerFamily: 10, families: 10), expiry: policy)
        let shard = engine.makeShard()
        for key in 0..<30 { feed(shard, engine, "c", .counter, 1, tags: "service:a,k:\(key)") }
        flush(shard, engine, 100)
        for second in Int64(101)...200 {
            shard.tick(nowNanoseconds: second * 1_000_000_000)
            engine.advance(nowNanoseconds: second * 1_000_000_000)
        }
        #expect(engine.seriesCounts.series == 0)
        #expect(engine.cardinality(top: 5, nowNanoseconds: 200_000_000_000).sources.isEmpty)
        for key in 100..<110 { feed(shard, engine, "c", .counter, 1, tags: "service:a,k:\(key)") }
        flush(shard, engine, 201)
        #expect(snapshot(engine, at: 201).keys.allSatisfy { !$0.contains("crest_overflow") })
        #expect(engine.expiryCounts.removed == 11)
    }

    @Test("The report names the family, the label and how fast it grows")
    func cardinality() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        flush(shard, engine, 600)
        feed(shard, engine, "small", .gauge, 1, tags: "a:1")
        for key in 0..<3_000 {
            feed(shard, engine, "http.requests", .counter, 1, tags: "uri:/p/\(key),method:m\(key % 3)")
        }
        flush(shard, engine, 630)
        let report = engine.cardinality(top: 10, nowNanoseconds: 630_000_000_000)
        #expect(report.families.map(\.name) == ["http_requests_total", "small"])
        let labels = report.families[0].labels
        #expect(labels.map(\.name) == ["uri", "method"])
        #expect(abs(labels[0].values - 3_000) < 100)
        #expect(labels[1].values == 3)
        #expect(labels[0].example == "/p/0")
        #expect(report.families[0].addedPerMinute == 3_000)
        let later = engine.cardinality(top: 1, nowNanoseconds: 800_000_000_000)
        #expect(later.families.map(\.addedPerMinute) == [0])
    }

    @Test("A type conflict is listed with both types, the new name and an example")
    func conflicts() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        flush(shard, engine, 50)
        feed(shard, engine, "orders", .gauge, 1)
        for key in 0..<3 { feed(shard, engine, "orders", .histogram, 1, tags: "k:\(key)") }
        feed(shard, engine, "x.total", .counter, 1)
        flush(shard, engine, 51)
        let found = engine.typeConflicts
        #expect(found.count == 1)
        #expect(found.first?.name == "orders" && found.first?.kept == "orders" && found.first?.keptKind == .gauge)
        #expect(found.first?.renamed == "orders_histogram" && found.first?.renamedKind == .histogram)
        #expect(found.first?.firstSeenSecond == 50 && found.first?.keys == 3)
        #expect(found.first?.exampleName == "orders" && found.first?.exampleLabels == #"k="0""#)
    }

    @Test("Rates cover the last seconds, of series and of families")
    func rates() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        flush(shard, engine, 100)
        for second in Int64(100)..<160 {
            for key in 0..<3 { feed(shard, engine, "c", .counter, Double(key * 10), tags: "k:\(key)") }
            for _ in 0..<5 { feed(shard, engine, "t", .timer, 3) }
            feed(shard, engine, "g", .gauge, Double(second))
            flush(shard, engine, second)
        }
        let families = engine.rates(top: 10, bySeries: false, nowNanoseconds: 159_000_000_000)
        #expect((5...10).contains(families.seconds))
        #expect(families.rows.map(\.name) == ["c_total", "t_seconds"])
        let speeds = families.rows.map { ($0.perSecond * 10).rounded() / 10 }
        #expect(speeds.count == 2 && abs(speeds[0] - 30) <= 6 && abs(speeds[1] - 5) <= 1, "\(speeds)")
        #expect(families.rows.map(\.series) == [2, 1])
        let series = engine.rates(top: 1, bySeries: true, name: "c", nowNanoseconds: 159_000_000_000)
        #expect(series.rows.first?.labels.first?.value == "2" && abs((series.rows.first?.perSecond ?? 0) - 20) <= 4)
        #expect(series.active == 2)
        engine.advance(nowNanoseconds: 170_000_000_000)
        let quiet = engine.rates(top: 10, bySeries: false, nowNanoseconds: 180_000_000_000)
        #expect(quiet.rows.isEmpty)
    }
}
