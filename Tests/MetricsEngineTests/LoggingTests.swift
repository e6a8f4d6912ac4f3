import MetricsEngine
import Telemetry
import Testing

@Suite("What goes to the log and comes back")
struct LoggingTests {
    /// Feeds random samples and closes a second after each round.
    private func work(
        _ shards: [MetricsShard], _ engine: MetricsEngine, _ generator: inout SeededGenerator, second: Int
    ) {
        for _ in 0..<Int.random(in: 0..<200, using: &generator) {
            let shard = shards[Int.random(in: 0..<shards.count, using: &generator)]
            let tag = "k:\(Int.random(in: 0..<40, using: &generator))"
            let value = Double(Int.random(in: 1..<100_000, using: &generator)) / 64
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: feed(shard, engine, "c", .counter, value, tags: tag)
            case 1: feed(shard, engine, "g", .gauge, -value, tags: tag)
            case 2: feed(shard, engine, "g", .gauge, value, isDelta: true, tags: tag)
            case 3: feed(shard, engine, "h", .histogram, value, weight: value, tags: tag)
            default: feed(shard, engine, "t\(second % 7)", .timer, value, tags: tag)
            }
        }
        for shard in shards { shard.flush(nowNanoseconds: Int64(second + 1) * 1_000_000_000) }
    }

    private func quantiles(_ engine: MetricsEngine) -> [Double?] {
        [0.01, 0.5, 0.99, 1].map {
            engine.query(SeriesSelector(name: "h"), quantile: $0, nowNanoseconds: 900_000_000_000).quantile
        }
    }

    @Test("Records alone, or a checkpoint and the records after it, give the same state", arguments: [UInt64(1), 2, 3])
    func restore(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let engine = MetricsEngine()
        engine.holdForLog()
        let shards = [engine.makeShard(), engine.makeShard()]
        var records: [MetricsLogRecord] = []
        var checkpoint: [MetricsLogRecord] = []
        var lines: UInt64 = 0
        for second in 0..<40 {
            work(shards, engine, &generator, second: second)
            let batch = engine.takeClosed()
            records += batch.records
            checkpoint += batch.records
            lines += batch.lines
            engine.settle()
            if Int.random(in: 0..<10, using: &generator) == 0 {
                checkpoint = []
                engine.forEachStateRecord {
                    checkpoint.append($0)
                    return true
                }
            }
        }
        let expected = snapshot(engine, at: 900)
        #expect(expected.count > 100 && lines > 0)
        for list in [records, checkpoint] {
            let other = MetricsEngine()
            for record in list { #expect(other.restore(record), "seed \(seed)") }
            #expect(snapshot(other, at: 900) == expected, "seed \(seed)")
            #expect(quantiles(other) == quantiles(engine), "seed \(seed)")
            #expect(other.seriesCounts.series == engine.seriesCounts.series)
            #expect(starts(other) == starts(engine))
            let shard = other.makeShard()
            feed(shard, other, "c", .counter, 1, tags: "k:1")
            shard.flush(nowNanoseconds: 0)
            #expect(snapshot(other, at: 900)[#"c_total{k="1"}"#] == (expected[#"c_total{k="1"}"#] ?? 0) + 1)
            #expect(other.seriesCounts.nameCollisions == 0)
        }
    }

    private func starts(_ engine: MetricsEngine) -> [Int64] {
        var starts: [Int64] = []
        engine.forEachSeries(nowNanoseconds: 0, family: { _ in }, series: { starts.append($0.startSecond) })
        return starts
    }

    @Test("A family with bounds of its own comes back with them and its counts")
    func ownBounds() {
        let engine = MetricsEngine()
        engine.holdForLog()
        var identity = MetricIdentity(name: Array("own".utf8), labels: [], kind: .timer)
        identity.buckets = [0.125, 4.5]
        let shard = engine.makeShard()
        let series = engine.register(identity)
        for milliseconds in [100.0, 200, 9_000] {
            shard.record(MetricSample(value: milliseconds, weight: 1, kind: .timer), to: series)
        }
        shard.flush(nowNanoseconds: 0)
        let seconds = engine.takeClosed().records
        engine.settle()
        var state: [MetricsLogRecord] = []
        engine.forEachStateRecord {
            state.append($0)
            return true
        }
        for records in [seconds, state] {
            let other = MetricsEngine()
            for record in records { #expect(other.restore(record)) }
            var bounds: [Double] = []
            var counts: [Double] = []
            other.forEachSeries(nowNanoseconds: 0) {
                bounds = $0.buckets?.bounds ?? []
            } series: {
                counts = $0.classic
            }
            #expect(bounds == [0.125, 4.5] && counts == [1, 1, 1])
        }
    }

    @Test("Nothing is shown before it is settled, and lines are counted with their window")
    func hidden() {
        let engine = MetricsEngine()
        engine.holdForLog()
        let shard = engine.makeShard()
        feed(shard, engine, "c", .counter, 2)
        feed(shard, engine, "c", .counter, 3)
        shard.flush(nowNanoseconds: 1_000_000_000)
        #expect(snapshot(engine, at: 2).isEmpty)
        #expect(engine.takeClosed().lines == 2)
        engine.advance(nowNanoseconds: 2_000_000_000)
        #expect(snapshot(engine, at: 2).isEmpty)
        engine.settle()
        #expect(snapshot(engine, at: 2) == ["c_total": 5])
        #expect(engine.takeClosed().records.isEmpty)
    }

    @Test("Type conflicts and overflow series are the same after a restart")
    func conflicts() {
        let limits = SeriesLimits(series: 3, seriesPerFamily: 3, families: 10)
        func fill(_ engine: MetricsEngine) {
            let shard = engine.makeShard()
            feed(shard, engine, "same", .counter, 1)
            feed(shard, engine, "same_total", .gauge, 2)
            for tag in 0..<4 { feed(shard, engine, "many", .counter, 1, tags: "k:\(tag)") }
            shard.flush(nowNanoseconds: 1_000_000_000)
        }
        let engine = MetricsEngine(limits: limits)
        engine.holdForLog()
        fill(engine)
        let batch = engine.takeClosed()
        engine.settle()
        let other = MetricsEngine(limits: limits)
        for record in batch.records { #expect(other.restore(record)) }
        #expect(snapshot(other, at: 1) == snapshot(engine, at: 1))
        fill(other)
        let once = snapshot(engine, at: 1)
        let twice = snapshot(other, at: 1)
        #expect(Set(once.keys) == Set(twice.keys))
        #expect(twice[#"many_total{crest_overflow="true"}"#] == (once[#"many_total{crest_overflow="true"}"#] ?? 0) * 2)
    }

    @Test("Every cut and every flipped byte is refused or restored, and never traps")
    func damage() {
        var generator = SeededGenerator(seed: 9)
        let engine = MetricsEngine()
        engine.holdForLog()
        let shards = [engine.makeShard()]
        feed(shards[0], engine, "s", .set, member: "m")
        work(shards, engine, &generator, second: 1)
        var records = engine.takeClosed().records
        engine.settle()
        engine.forEachStateRecord {
            records.append($0)
            return true
        }
        for (number, record) in records.enumerated() {
            let stride = max(record.body.count / 200, 1)
            for cut in Swift.stride(from: 0, to: record.body.count, by: stride) {
                let other = MetricsEngine()
                for before in records[..<number] { _ = other.restore(before) }
                var cutRecord = record
                cutRecord.body = Array(record.body[..<cut])
                #expect(!other.restore(cutRecord), "record \(number) cut at \(cut)")
                var flipped = record
                flipped.body[cut] ^= UInt8(1 << (cut % 8))
                _ = other.restore(flipped)
                _ = snapshot(other, at: 2)
            }
        }
    }
}
