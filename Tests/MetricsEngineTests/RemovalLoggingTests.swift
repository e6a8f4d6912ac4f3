import MetricsEngine
import Telemetry
import Testing

/// An engine whose log is a list of records in memory, and that can be killed.
private struct LoggedEngine {
    let policy: ExpiryPolicy
    private(set) var engine: MetricsEngine
    private(set) var shards: [MetricsShard] = []
    /// A checkpoint and the records after it.
    private(set) var log: [MetricsLogRecord] = []

    init(_ policy: ExpiryPolicy, second: Int64) {
        self.policy = policy
        engine = MetricsEngine(expiry: policy)
        begin(second: second)
    }

    private mutating func begin(second: Int64) {
        engine.holdForLog()
        shards = [engine.makeShard(), engine.makeShard()]
        for shard in shards { shard.tick(nowNanoseconds: second * 1_000_000_000) }
    }

    mutating func step(second: Int64) {
        for shard in shards { shard.tick(nowNanoseconds: second * 1_000_000_000) }
        engine.advance(nowNanoseconds: second * 1_000_000_000)
        log += engine.takeClosed().records
        engine.settle()
    }

    mutating func checkpoint() {
        log = state()
    }

    func state() -> [MetricsLogRecord] {
        var records: [MetricsLogRecord] = []
        engine.forEachStateRecord {
            records.append($0)
            return true
        }
        return records
    }

    /// Goes on in a new process.
    /// - Returns: false when a record did not fit.
    mutating func restart(second: Int64) -> Bool {
        engine = MetricsEngine(expiry: policy)
        let fits = log.map { engine.restore($0) }.allSatisfy { $0 }
        begin(second: second)
        return fits
    }
}

@Suite("Expiry and removal in the log")
struct RemovalLoggingTests {
    private func policy(_ seconds: Int64) -> ExpiryPolicy {
        var policy = ExpiryPolicy()
        policy.counters = seconds
        policy.gauges = seconds
        policy.histograms = seconds
        policy.sets = seconds
        return policy
    }

    @Test(
        "Random updates, silence, returns, checkpoints and restarts against a naive map",
        arguments: [UInt64(21), 22, 23, 24, 25, 26])
    func model(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let limit = Int64.random(in: 3...80, using: &generator)
        var logged = LoggedEngine(policy(limit), second: 10_000)
        var totals: [Int: Double] = [:]
        var levels: [Int: Double] = [:]
        var updated: [String: Int64] = [:]
        var second: Int64 = 10_000
        logged.step(second: second)
        var restarts = 0
        var removed: UInt64 = 0
        for _ in 0..<1_200 {
            let busy = Int.random(in: 0..<4, using: &generator) > 0
            for _ in 0..<(busy ? Int.random(in: 0..<20, using: &generator) : 0) {
                let key = Int(second / 200) * 40 + Int.random(in: 0..<100, using: &generator)
                let value = Double(Int.random(in: 1..<100, using: &generator))
                let shard = logged.shards[Int.random(in: 0..<2, using: &generator)]
                if key % 4 == 0 {
                    // One shard alone: two would leave open which value is the last one of a second.
                    feed(logged.shards[0], logged.engine, "g", .gauge, value, tags: "k:\(key)")
                    levels[key] = value
                    updated[#"g{k="\#(key)"}"#] = second
                } else {
                    feed(shard, logged.engine, "c", .counter, value, tags: "k:\(key)")
                    totals[key, default: 0] += value
                    updated[#"c_total{k="\#(key)"}"#] = second
                }
            }
            second += 1
            logged.step(second: second)
            if Int.random(in: 0..<40, using: &generator) == 0 { logged.checkpoint() }
            if Int.random(in: 0..<30, using: &generator) == 0 {
                removed += logged.engine.expiryCounts.removed
                let before = snapshot(logged.engine, at: second)
                let fits = logged.restart(second: second)
                #expect(fits, "seed \(seed), second \(second)")
                restarts += 1
                // Nothing returns from the dead. What the engine had seen a second late may go a second early.
                let after = snapshot(logged.engine, at: second)
                for (name, value) in after { #expect(before[name] == value, "seed \(seed), second \(second): \(name)") }
                for name in before.keys where after[name] == nil {
                    #expect(second - (updated[name] ?? 0) >= limit - 1, "seed \(seed), second \(second): \(name)")
                }
            }
            guard Int.random(in: 0..<6, using: &generator) == 0 else { continue }
            let shown = snapshot(logged.engine, at: second)
            for (name, time) in updated where second - time < limit {
                #expect(shown[name] != nil, "seed \(seed), second \(second): \(name) is gone")
            }
            for (name, value) in shown {
                #expect(second - (updated[name] ?? 0) <= limit + 1, "seed \(seed), second \(second): \(name) stayed")
                let key = Int(name.split(separator: "\"")[1]) ?? -1
                #expect(value == (name.hasPrefix("g") ? levels[key] : totals[key]), "seed \(seed): \(name)")
            }
        }
        removed += logged.engine.expiryCounts.removed
        #expect(restarts > 10 && removed > 50, "seed \(seed): \(restarts) restarts, \(removed) removed")
        #expect(logged.engine.seriesCounts.series < UInt64(updated.count))
    }

    /// Series that were removed, one of which has its number again.
    private func churned() -> LoggedEngine {
        var logged = LoggedEngine(policy(5), second: 1_000)
        logged.step(second: 1_000)
        for key in 0..<8 { feed(logged.shards[0], logged.engine, "c", .counter, Double(key), tags: "k:\(key)") }
        feed(logged.shards[0], logged.engine, "h", .histogram, 3)
        for second in Int64(1_001)...1_100 { logged.step(second: second) }
        feed(logged.shards[1], logged.engine, "new", .counter, 1, tags: "k:1")
        feed(logged.shards[1], logged.engine, "h", .histogram, 3)
        logged.step(second: 1_101)
        logged.step(second: 1_102)
        return logged
    }

    @Test("A removed counter goes on after a restart from the log and from a checkpoint; a histogram begins anew")
    func continues() {
        for isCheckpoint in [false, true] {
            var logged = churned()
            #expect(logged.engine.expiryCounts.removed == 9)
            #expect(logged.log.contains { $0.kind == .removed } && logged.log.contains { $0.kind == .reused })
            if isCheckpoint { logged.checkpoint() }
            let fits = logged.restart(second: 1_102)
            #expect(fits && logged.engine.expiryCounts.remembered == 7)
            feed(logged.shards[0], logged.engine, "c", .counter, 1, tags: "k:5")
            logged.step(second: 1_103)
            logged.step(second: 1_104)
            let shown = snapshot(logged.engine, at: 1_104)
            #expect(shown == [#"c_total{k="5"}"#: 6, #"new_total{k="1"}"#: 1, "h_count": 1, "h_sum": 3])
            var starts: [Int64] = []
            logged.engine.forEachSeries(
                nowNanoseconds: 1_104_000_000_000, family: { _ in }, series: { starts.append($0.startSecond) })
            #expect(starts.sorted() == [1_000, 1_100, 1_100], "a counter keeps its start, a histogram has a new one")
            #expect(logged.engine.seriesCounts.series == 3)
        }
    }

    @Test("Every cut and every flipped byte of these records is refused or restored, and never traps")
    func damage() {
        let logged = churned()
        for records in [logged.log, logged.state()] {
            for (number, record) in records.enumerated() {
                for cut in 0..<record.body.count {
                    let other = MetricsEngine()
                    for before in records[..<number] { _ = other.restore(before) }
                    var cutRecord = record
                    cutRecord.body = Array(record.body[..<cut])
                    #expect(!other.restore(cutRecord), "record \(number) cut at \(cut)")
                    var flipped = record
                    flipped.body[cut] ^= UInt8(1 << (cut % 8))
                    _ = other.restore(flipped)
                    for after in records[(number + 1)...] { _ = other.restore(after) }
                    let shard = other.makeShard()
                    feed(shard, other, "c", .counter, 1, tags: "k:5")
                    shard.flush(nowNanoseconds: 1_104_000_000_000)
                    _ = snapshot(other, at: 1_104)
                }
            }
        }
    }

    @Test("The bodies of the records as the format says them")
    func golden() {
        let logged = churned()
        let removed = logged.log.first { $0.kind == .removed }?.body
        #expect(removed == [9, 0, 1, 1, 1, 1, 1, 1, 1, 1])
        let reused = logged.log.filter { $0.kind == .reused }.map(\.body)
        #expect(reused == [[2, 8, 2] + [5] + Array("k=\"1\"".utf8) + [7, 1, 0]])
        // 9 numbers from 0 on: free ones are at 0, the others at zig-zag 1,100.
        let updates = logged.state().first { $0.kind == .updates }?.body
        #expect(updates?.prefix(2) == [0, 9])
        let series = logged.state().first { $0.kind == .series }?.body
        #expect(series?.prefix(8) == [0, 9, 255, 255, 255, 255, 15, 0])
    }

    @Test("A checkpoint without last updates, as older versions wrote it, counts as updated at the start")
    func olderCheckpoint() {
        var logged = LoggedEngine(policy(5), second: 1_000)
        logged.step(second: 1_000)
        feed(logged.shards[0], logged.engine, "c", .counter, 4)
        logged.step(second: 1_001)
        let records = logged.state().filter { $0.kind.rawValue <= 6 }
        let other = MetricsEngine(expiry: policy(5))
        for record in records { #expect(other.restore(record)) }
        #expect(snapshot(other, at: 9_000) == ["c_total": 4])
        other.advance(nowNanoseconds: 9_005_000_000_000)
        #expect(snapshot(other, at: 9_005).isEmpty)
    }

    @Test("A cumulative OTLP stream that was silent until its series was removed is not counted twice")
    func streams() {
        var logged = LoggedEngine(policy(5), second: 1_000)
        func send(_ value: Double, start: UInt64, second: Int64) {
            var metric = MetricPoints.Metric()
            metric.name = Array("jobs".utf8)
            metric.shape = .sum
            metric.isMonotonic = true
            metric.temporality = .cumulative
            var point = MetricPoint()
            point.start = start * 1_000_000_000
            point.time = UInt64(second) * 1_000_000_000
            point.content = .number(value)
            var points = MetricPoints()
            points.resources = [MetricPoints.Resource()]
            points.scopes = [MetricPoints.Scope()]
            points.metrics = [metric]
            points.points = [point]
            let report = logged.engine.apply(
                points, nowNanoseconds: second * 1_000_000_000, startedNanoseconds: 900_000_000_000)
            #expect(report.applied == 1)
        }
        func total(_ second: Int64) -> Double? { snapshot(logged.engine, at: second)["jobs_total"] }
        logged.step(second: 1_000)
        send(100, start: 990, second: 1_000)
        logged.step(second: 1_001)
        send(120, start: 990, second: 1_001)
        logged.step(second: 1_002)
        #expect(total(1_002) == 120)
        for second in Int64(1_003)...1_100 { logged.step(second: second) }
        #expect(logged.engine.expiryCounts.removed == 1 && logged.engine.pointStreamCount == 0)
        send(125, start: 990, second: 1_100)
        logged.step(second: 1_101)
        #expect(total(1_101) == 125)
        for second in Int64(1_102)...1_200 { logged.step(second: second) }
        send(3, start: 1_150, second: 1_200)
        logged.step(second: 1_201)
        #expect(total(1_201) == 128, "a sender that began again adds up")
        for second in Int64(1_202)...1_300 { logged.step(second: second) }
        let fits = logged.restart(second: 1_300)
        #expect(fits)
        send(10, start: 1_150, second: 1_300)
        logged.step(second: 1_301)
        // What the two streams had counted together is told no more: the value does not go back, and nothing is added.
        #expect(total(1_301) == 128)
    }
}
