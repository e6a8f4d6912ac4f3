import Foundation
import MetricsEngine
import Telemetry
import Testing

/// One second of an engine and its shards: hand over, take over.
private func step(_ engine: MetricsEngine, _ shards: [MetricsShard], second: Int64) {
    for shard in shards { shard.tick(nowNanoseconds: second * 1_000_000_000) }
    engine.advance(nowNanoseconds: second * 1_000_000_000)
}

@Suite("Expiry")
struct ExpiryTests {
    private func policy(_ seconds: Int64) -> ExpiryPolicy {
        var policy = ExpiryPolicy()
        policy.counters = seconds
        policy.gauges = seconds
        policy.histograms = seconds
        policy.sets = seconds
        return policy
    }

    @Test("A quiet series leaves after its type's time, exactly; one that never expires stays")
    func byType() {
        var policy = ExpiryPolicy()
        policy.counters = 30
        policy.gauges = 5
        policy.histograms = 3_000
        policy.sets = 0
        let engine = MetricsEngine(expiry: policy)
        let shard = engine.makeShard()
        step(engine, [shard], second: 1_000)
        feed(shard, engine, "c", .counter, 1)
        feed(shard, engine, "g", .gauge, 1)
        feed(shard, engine, "h", .histogram, 1)
        feed(shard, engine, "s", .set, member: "m")
        step(engine, [shard], second: 1_001)
        var gone: [String: Int64] = [:]
        for second in Int64(1_002)...8_000 {
            step(engine, [shard], second: second)
            guard second < 1_100 || second % 50 == 1 else { continue }
            let shown = snapshot(engine, at: second)
            for name in ["c_total", "g", "h_count", "s_unique"] where shown[name] == nil && gone[name] == nil {
                gone[name] = second
            }
        }
        #expect(gone == ["c_total": 1_031, "g": 1_006, "h_count": 4_001])
        #expect(engine.expiryCounts.expired == 3)
    }

    @Test("A rule's time comes before the type's, is kept over a restart and goes with the series")
    func byRule() throws {
        let engine = MetricsEngine(expiry: policy(1_000))
        engine.holdForLog()
        let shard = engine.makeShard()
        var identity = MetricIdentity(name: Array("short".utf8), labels: [], kind: .timer)
        identity.expirySeconds = 5
        identity.countName = Array("short_calls".utf8)
        var records: [MetricsLogRecord] = []
        func step(_ engine: MetricsEngine, second: Int64) {
            shard.tick(nowNanoseconds: second * 1_000_000_000)
            _ = snapshot(engine, at: second)
            records += engine.takeClosed().records
            engine.settle()
        }
        step(engine, second: 1_000)
        shard.record(MetricSample(value: 1, weight: 1, kind: .timer), to: engine.register(identity))
        feed(shard, engine, "long", .counter, 1)
        step(engine, second: 1_001)
        #expect(snapshot(engine, at: 1_004).count == 4)
        var checkpoint: [MetricsLogRecord] = []
        engine.forEachStateRecord {
            checkpoint.append($0)
            return true
        }
        for list in [records, checkpoint] {
            let other = MetricsEngine(expiry: policy(1_000))
            for record in list { #expect(other.restore(record)) }
            #expect(snapshot(other, at: 1_004).count == 4)
            #expect(snapshot(other, at: 1_007) == ["long_total": 1])
        }
        for second in Int64(1_002)...1_100 { step(engine, second: second) }
        #expect(snapshot(engine, at: 1_100) == ["long_total": 1])
        #expect(engine.expiryCounts.removed == 2)
        let next = engine.register(name: Array("next".utf8), labels: [], kind: .gauge)
        shard.record(MetricSample(value: 3, weight: 1, kind: .gauge), to: next)
        step(engine, second: 1_101)
        step(engine, second: 1_102)
        #expect(snapshot(engine, at: 1_150)["next"] == 3, "the number's new series has its type's time")
    }

    @Test("Random updates against a naive map", arguments: [UInt64(11), 12, 13, 14, 15])
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let limit = Int64.random(in: 3...90, using: &generator)
        let engine = MetricsEngine(expiry: policy(limit))
        let shards = [engine.makeShard(), engine.makeShard()]
        var totals: [Int: Double] = [:]
        var updated: [Int: Int64] = [:]
        var second: Int64 = 10_000
        step(engine, shards, second: second)
        for _ in 0..<1_200 {
            let busy = Int.random(in: 0..<4, using: &generator) > 0
            for _ in 0..<(busy ? Int.random(in: 0..<20, using: &generator) : 0) {
                // Old keys return, new ones come, and most are used in bursts.
                let key = Int(second / 200) * 40 + Int.random(in: 0..<100, using: &generator)
                let value = Double(Int.random(in: 1..<100, using: &generator))
                feed(shards[Int.random(in: 0..<2, using: &generator)], engine, "c", .counter, value, tags: "k:\(key)")
                totals[key, default: 0] += value
                // The shards hand the second over in the next one: that is when the engine sees the update.
                updated[key] = second + 1
            }
            second += 1
            step(engine, shards, second: second)
            if Int.random(in: 0..<6, using: &generator) == 0 {
                let expected = updated.filter { second - $0.value < limit }.keys.map { key in
                    (#"c_total{k="\#(key)"}"#, totals[key] ?? 0)
                }
                #expect(
                    snapshot(engine, at: second) == Dictionary(uniqueKeysWithValues: expected),
                    "seed \(seed), second \(second)")
            }
        }
        let counts = engine.expiryCounts
        #expect(counts.expired > 100 && counts.removed > 50, "seed \(seed): \(counts)")
        #expect(engine.seriesCounts.series < UInt64(totals.count))
    }

    @Test("Numbers are given out again: churn does not grow the engine, and every value stays with its own series")
    func reuse() {
        let engine = MetricsEngine(expiry: policy(5))
        let shards = [engine.makeShard(), engine.makeShard()]
        var second: Int64 = 1_000
        for round in 0..<30 {
            for key in 0..<500 {
                feed(shards[key % 2], engine, "c", .counter, Double(round), tags: "k:\(round)-\(key)")
                if key % 5 == 0 { feed(shards[0], engine, "h", .histogram, 1, tags: "k:\(round)-\(key)") }
            }
            for _ in 0..<20 {
                second += 5
                step(engine, shards, second: second)
            }
        }
        #expect(engine.seriesCounts.series <= 1_200)
        #expect(engine.expiryCounts.removed >= 28 * 600)
        for key in 0..<500 { feed(shards[1], engine, "c", .counter, 1, tags: "k:3-\(key)") }
        feed(shards[1], engine, "h", .histogram, 1, tags: "k:3-0")
        second += 1
        step(engine, shards, second: second)
        let shown = snapshot(engine, at: second)
        // A returning counter goes on; a returning histogram begins anew.
        #expect((0..<500).allSatisfy { shown[#"c_total{k="3-\#($0)"}"#] == 4 })
        #expect(shown[#"h_count{k="3-0"}"#] == 1)
        #expect(shown.count == 502)
    }

    @Test("A shard that still knows the key of an expired series brings that series back")
    func revival() {
        let engine = MetricsEngine(expiry: policy(10))
        let (busy, idle) = (engine.makeShard(), engine.makeShard())
        feed(idle, engine, "c", .counter, 5, tags: "k:old")
        step(engine, [busy, idle], second: 100)
        step(engine, [busy, idle], second: 101)
        // The idle shard does not tick: its number must not be given away.
        for second in Int64(102)...400 { step(engine, [busy], second: second) }
        #expect(snapshot(engine, at: 400).isEmpty)
        #expect(engine.expiryCounts.removed == 0)
        #expect(idle.isTickWanted)
        for key in 0..<50 { feed(busy, engine, "c", .counter, 1, tags: "k:\(key)") }
        feed(idle, engine, "c", .counter, 2, tags: "k:old")
        step(engine, [busy, idle], second: 401)
        step(engine, [busy, idle], second: 402)
        let shown = snapshot(engine, at: 402)
        #expect(shown[#"c_total{k="old"}"#] == 7)
        #expect(shown.count == 51)
        #expect(engine.expiryCounts.returned == 1)
        #expect(engine.expiryCounts.removed == 0)
    }

    @Test("A shard that is gone holds nothing back")
    func closedShard() {
        let engine = MetricsEngine(expiry: policy(10))
        let shard = engine.makeShard()
        do {
            let brief = engine.makeShard()
            feed(brief, engine, "c", .counter, 5, tags: "k:old")
            brief.flush(nowNanoseconds: 100_000_000_000)
        }
        for second in Int64(101)...300 { step(engine, [shard], second: second) }
        #expect(engine.expiryCounts.removed == 1)
        #expect(engine.expiryCounts.remembered == 1)
    }

    @Test("Receivers against expiry: no increment is lost, none reaches another series", arguments: [UInt64(1), 2])
    func race(seed: UInt64) {
        let engine = MetricsEngine(expiry: policy(2))
        let keys = 3_000
        let clock = AtomicSecond(1_000)
        let sums = (0..<2).map { _ in Sums(keys) }
        let threads = (0..<2).map { number in
            let shard = engine.makeShard()
            let thread = Thread {
                var generator = SeededGenerator(seed: seed * 100 + UInt64(number))
                for _ in 0..<400 {
                    let base = Int.random(in: 0..<keys, using: &generator)
                    for _ in 0..<60 {
                        let key = (base + Int.random(in: 0..<40, using: &generator)) % keys
                        feed(shard, engine, "c", .counter, Double(key + 1), tags: "k:\(key)")
                        sums[number].values[key] += Double(key + 1)
                    }
                    shard.tick(nowNanoseconds: clock.value * 1_000_000_000)
                }
                let deadline = Date().addingTimeInterval(30)
                // As a receiver does: tick on until everything is handed over and the engine wants nothing.
                while !sums[number].isStopped, Date() < deadline {
                    shard.tick(nowNanoseconds: clock.value * 1_000_000_000)
                    Thread.sleep(forTimeInterval: 0.0005)
                }
                while !shard.flush(nowNanoseconds: clock.value * 1_000_000_000) {
                    Thread.sleep(forTimeInterval: 0.0005)
                }
                sums[number].isDone = true
            }
            thread.start()
            return thread
        }
        let deadline = Date().addingTimeInterval(30)
        var advances = 0
        while threads.contains(where: { !$0.isFinished }), Date() < deadline {
            clock.value += 7
            engine.advance(nowNanoseconds: clock.value * 1_000_000_000)
            advances += 1
            if advances > 400, engine.expiryCounts.removed > 2_000 { for sum in sums { sum.isStopped = true } }
        }
        let last = engine.makeShard()
        for key in 0..<keys { feed(last, engine, "c", .counter, 0, tags: "k:\(key)") }
        last.flush(nowNanoseconds: clock.value * 1_000_000_000)
        let shown = snapshot(engine, at: clock.value)
        let wrong = (0..<keys).filter { shown[#"c_total{k="\#($0)"}"#] != sums[0].values[$0] + sums[1].values[$0] }
        #expect(wrong.isEmpty, "seed \(seed): \(wrong.count) wrong, first \(wrong.first ?? -1)")
        #expect(shown.count == keys)
        #expect(engine.expiryCounts.removed > 1_000, "seed \(seed): \(engine.expiryCounts)")
    }
}

/// What one thread has sent, by key; the thread owns the values until `isDone`.
private final class Sums: @unchecked Sendable {
    var values: [Double]
    private let lock = NSLock()
    private var stopped = false
    private var done = false

    init(_ keys: Int) { values = Array(repeating: 0, count: keys) }

    var isStopped: Bool {
        get { lock.withLock { stopped } }
        set { lock.withLock { stopped = newValue } }
    }
    var isDone: Bool {
        get { lock.withLock { done } }
        set { lock.withLock { done = newValue } }
    }
}

private final class AtomicSecond: @unchecked Sendable {
    private let lock = NSLock()
    private var second: Int64

    init(_ second: Int64) { self.second = second }

    var value: Int64 {
        get { lock.withLock { second } }
        set { lock.withLock { second = newValue } }
    }
}
