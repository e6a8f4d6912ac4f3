import Foundation
import MetricsEngine
import Telemetry
import Testing

@Suite("Shards and the engine")
struct ShardTests {
    @Test("Random samples add up as in a dictionary", arguments: [UInt64(1), 2, 3, 4])
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let engine = MetricsEngine()
        let shards = [engine.makeShard(), engine.makeShard()]
        var expected: [String: Double] = [:]
        for second in 0..<40 {
            for _ in 0..<Int.random(in: 0..<400, using: &generator) {
                let series = Int.random(in: 0..<300, using: &generator)
                let value = Double(Int.random(in: 0..<1_000, using: &generator))
                let labels = #"{k="\#(series)"}"#
                switch series % 4 {
                case 0:
                    feed(shards[series % 2], engine, "c", .counter, value, tags: "k:\(series)")
                    expected["c_total\(labels)", default: 0] += value
                case 1:
                    feed(shards[series % 2], engine, "g", .gauge, value, tags: "k:\(series)")
                    expected["g\(labels)"] = value
                case 2:
                    feed(shards[series % 2], engine, "g", .gauge, value, isDelta: true, tags: "k:\(series)")
                    expected["g\(labels)", default: 0] += value
                default:
                    feed(shards[Int(value) % 2], engine, "h", .histogram, value, tags: "k:\(series)")
                    expected["h_count\(labels)", default: 0] += 1
                    expected["h_sum\(labels)", default: 0] += value
                }
            }
            for shard in shards { shard.tick(nowNanoseconds: Int64(second) * 1_000_000_000) }
            if Int.random(in: 0..<8, using: &generator) == 0 {
                engine.advance(nowNanoseconds: Int64(second) * 1_000_000_000)
            }
        }
        for shard in shards { while !shard.flush(nowNanoseconds: 0) { engine.advance(nowNanoseconds: 0) } }
        #expect(snapshot(engine, at: 40) == expected, "seed \(seed)")
    }

    @Test("When the engine stands still the shard keeps everything and says that it is late")
    func fullRing() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        for second in 1...50 {
            feed(shard, engine, "c", .counter, 1)
            feed(shard, engine, "t", .timer, 20)
            feed(shard, engine, "s", .set, member: "m\(second % 5)")
            shard.flush(nowNanoseconds: Int64(second) * 1_000_000_000)
        }
        #expect(shard.deferredWindows == 34)
        #expect(snapshot(engine, at: 50)["c_total"] == 16)
        #expect(shard.isOpen)
        shard.flush(nowNanoseconds: 51_000_000_000)
        #expect(!shard.isOpen)
        let shown = snapshot(engine, at: 51)
        #expect(shown["c_total"] == 50)
        #expect(shown["t_seconds_count"] == 50)
        #expect(shown["s_unique"] == 5)
    }

    @Test("A full key cache starts anew and loses nothing")
    func keyCache() {
        let engine = MetricsEngine()
        let shard = engine.makeShard(keyCapacity: 100)
        for round in 0..<3 {
            for key in 0..<1_000 { feed(shard, engine, "c", .counter, Double(round + 1), tags: "k:\(key)") }
        }
        shard.flush(nowNanoseconds: 0)
        #expect(shard.keyCacheResets >= 29)
        let shown = snapshot(engine, at: 0)
        #expect(shown.count == 1_000)
        #expect(shown.values.allSatisfy { $0 == 6 })
    }

    @Test("A second is handed over by the first tick beyond it")
    func ticking() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        shard.tick(nowNanoseconds: 10_100_000_000)
        feed(shard, engine, "c", .counter, 1)
        shard.tick(nowNanoseconds: 10_900_000_000)
        #expect(snapshot(engine, at: 10).isEmpty)
        shard.tick(nowNanoseconds: 11_000_000_000)
        #expect(snapshot(engine, at: 11) == ["c_total": 1])
    }

    @Test("Sets count the distinct members of the last ten seconds, exactly while they are small")
    func sets() {
        let engine = MetricsEngine()
        let shards = [engine.makeShard(), engine.makeShard()]
        for member in 0..<200 { feed(shards[member % 2], engine, "s", .set, member: "m\(member % 150)") }
        for member in 0..<20_000 { feed(shards[0], engine, "large", .set, member: "m\(member)") }
        for shard in shards { shard.flush(nowNanoseconds: 100_000_000_000) }
        #expect(snapshot(engine, at: 100)["s_unique"] == 150)
        let estimate = snapshot(engine, at: 100)["large_unique"] ?? 0
        #expect(abs(estimate - 20_000) < 20_000 * 0.04, "\(estimate)")
        for shard in shards { shard.tick(nowNanoseconds: 105_000_000_000) }
        for member in 140..<160 { feed(shards[0], engine, "s", .set, member: "m\(member)") }
        for shard in shards { shard.flush(nowNanoseconds: 105_000_000_000) }
        #expect(snapshot(engine, at: 105)["s_unique"] == 160)
        #expect(snapshot(engine, at: 111)["s_unique"] == 20)
        #expect(snapshot(engine, at: 120)["s_unique"] == 0)
    }

    @Test("Live quantiles forget what is older than their window")
    func liveWindow() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        for second in 100..<200 {
            shard.tick(nowNanoseconds: Int64(second) * 1_000_000_000)
            feed(shard, engine, "t", .timer, Double(second))
            engine.advance(nowNanoseconds: Int64(second) * 1_000_000_000)
        }
        shard.flush(nowNanoseconds: 200_000_000_000)
        let selector = SeriesSelector(name: "t")
        let minute = engine.query(selector, quantile: 0, lastSeconds: 60, nowNanoseconds: 200_000_000_000)
        #expect(abs((minute.quantile ?? 0) - 0.140) < 0.001)
        let ten = engine.query(selector, quantile: 0, lastSeconds: 10, nowNanoseconds: 200_000_000_000)
        #expect(abs((ten.quantile ?? 0) - 0.190) < 0.001)
        let ever = engine.query(selector, quantile: 0, nowNanoseconds: 200_000_000_000)
        #expect(ever.observations == 100)
    }

    @Test("Receivers and scrapes at the same time: totals never go back, and nothing is missing at the end")
    func concurrency() throws {
        let engine = MetricsEngine()
        let lines = 60_000
        let threads = (0..<2).map { number in
            let shard = engine.makeShard()
            let thread = Thread {
                for line in 0..<lines {
                    feed(shard, engine, "c", .counter, 1, tags: "k:\(line % 500)")
                    feed(shard, engine, "t", .timer, Double(line % 100), tags: "thread:\(number)")
                    if line % 500 == 0 { shard.flush(nowNanoseconds: Int64(line) * 1_000_000) }
                }
                while !shard.flush(nowNanoseconds: Int64(lines) * 1_000_000) { Thread.sleep(forTimeInterval: 0.001) }
            }
            thread.start()
            return thread
        }
        var last: [String: Double] = [:]
        let deadline = Date().addingTimeInterval(30)
        while threads.contains(where: { !$0.isFinished }), Date() < deadline {
            let shown = snapshot(engine, at: 60)
            for (name, value) in last { #expect((shown[name] ?? -1) >= value, "\(name)") }
            last = shown
        }
        let final = snapshot(engine, at: 60)
        #expect(final.filter { $0.key.hasPrefix("c_total") }.values.reduce(0, +) == Double(2 * lines))
        #expect(final[#"t_seconds_count{thread="1"}"#] == Double(lines))
    }

    @Test("Queries select by the name in any form and by labels")
    func selection() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        feed(shard, engine, "order.count", .counter, 3, tags: "region:eu")
        feed(shard, engine, "order.count", .counter, 4, tags: "region:us")
        feed(shard, engine, "order.time", .timer, 20)
        shard.flush(nowNanoseconds: 0)
        for name in ["order_count_total", "order_count", "order.count"] {
            let answer = engine.query(
                SeriesSelector(name: name, labels: [("region", "us")]), nowNanoseconds: 0)
            #expect(answer.series.map(\.value) == [4], "\(name)")
            #expect(answer.series.first?.name == "order_count_total")
        }
        #expect(engine.query(SeriesSelector(name: "order.time"), nowNanoseconds: 0).series.first?.sum == 0.02)
        #expect(engine.query(SeriesSelector(), limit: 2, nowNanoseconds: 0).isCut)
        #expect(engine.query(SeriesSelector(name: "nothing"), nowNanoseconds: 0).series.isEmpty)
    }
}
