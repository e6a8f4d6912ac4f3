import MetricsEngine
import Telemetry
import Testing

@Suite("Names and identities")
struct NamingTests {
    @Test(
        "Names as sent and as scraped",
        arguments: [
            ("order.count", MetricKind.counter, "order_count_total"), ("hits_total", .counter, "hits_total"),
            ("order.process.time", .timer, "order_process_time_seconds_count"),
            ("render_ms", .timer, "render_seconds_count"), ("render.millis", .timer, "render_seconds_count"),
            ("a_time_ms", .timer, "a_seconds_count"), ("wait_seconds", .timer, "wait_seconds_count"),
            ("basket.size", .histogram, "basket_size_count"), ("basket.size", .distribution, "basket_size_count"),
            ("stock.remaining", .gauge, "stock_remaining"), ("visitors", .set, "visitors_unique"),
            ("a..b--c", .gauge, "a_b_c"), ("9lives", .gauge, "_9lives"), ("a:b", .gauge, "a:b"),
            ("pr\u{e9}mi\u{e8}re", .gauge, "pr_mi_re"), ("a__b", .gauge, "a__b"), ("\u{4e2d}", .gauge, "_"),
            ("crest.series", .gauge, "exported_crest_series"),
        ])
    func names(sent: String, kind: MetricKind, scraped: String) {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        feed(shard, engine, sent, kind, 1, member: "m")
        shard.flush(nowNanoseconds: 0)
        #expect(snapshot(engine, at: 0).keys.contains(scraped), "\(snapshot(engine, at: 0))")
    }

    @Test("Labels are sanitised, sorted, unique and escaped")
    func labels() {
        let engine = MetricsEngine()
        let text = engine.labelText([
            MetricLabel("z", "1"), MetricLabel("a.b", "x\"y\\z\nw"), MetricLabel("z", "2"), MetricLabel("le", "0.5"),
            MetricLabel("__x", "3"), MetricLabel("1st", "4"),
        ])
        let expected = #"_1st="4",a_b="x\"y\\z\nw",exported_le="0.5",tag__x="3",z="1""#
        #expect(String(decoding: text, as: UTF8.self) == expected)
    }

    @Test("One series whatever the order of its tags, and names that collide are merged and counted")
    func merging() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        feed(shard, engine, "a.b", .counter, 1, tags: "x:1,y:2")
        feed(shard, engine, "a.b", .counter, 2, tags: "y:2,x:1")
        feed(shard, engine, "a-b", .counter, 4, tags: "x:1,y:2,x:9")
        shard.flush(nowNanoseconds: 0)
        #expect(snapshot(engine, at: 0) == [#"a_b_total{x="1",y="2"}"#: 7])
        #expect(engine.seriesCounts.nameCollisions == 1)
        #expect(engine.seriesCounts.duplicateLabels == 1)
    }

    @Test("A name that another type has gets a suffix, so that no two families share a sample name")
    func conflicts() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        feed(shard, engine, "same", .counter, 1)
        feed(shard, engine, "same", .gauge, 2)
        feed(shard, engine, "same", .histogram, 3)
        feed(shard, engine, "same_total", .gauge, 4)
        feed(shard, engine, "t_sum", .gauge, 5)
        feed(shard, engine, "t", .histogram, 6)
        feed(shard, engine, "same", .gauge, 7, tags: "x:1")
        shard.flush(nowNanoseconds: 0)
        #expect(
            snapshot(engine, at: 0) == [
                "same_total": 1, "same_gauge": 2, #"same_gauge{x="1"}"#: 7, "same_histogram_count": 1,
                "same_histogram_sum": 3, "same_total_gauge": 4, "t_sum": 5, "t_histogram_count": 1,
                "t_histogram_sum": 6,
            ])
        #expect(engine.seriesCounts.typeConflicts == 4)
    }

    @Test("Beyond the limits everything is still counted, in the overflow series")
    func limits() {
        let engine = MetricsEngine(limits: SeriesLimits(series: 12, seriesPerFamily: 5, families: 3))
        let shard = engine.makeShard()
        for family in 0..<5 {
            for series in 0..<10 { feed(shard, engine, "f\(family)", .counter, 1, tags: "s:\(series)") }
        }
        shard.flush(nowNanoseconds: 0)
        let shown = snapshot(engine, at: 0)
        #expect(shown.values.reduce(0, +) == 50)
        #expect(shown[#"f0_total{crest_overflow="true"}"#] == 5)
        #expect(shown[#"f2_total{crest_overflow="true"}"#] == 8)
        #expect(shown[#"crest_overflow_total{crest_overflow="true"}"#] == 20)
        #expect(engine.seriesCounts.series == 12)
        #expect(engine.seriesCounts.overflowed.sum == 38)
    }
}
