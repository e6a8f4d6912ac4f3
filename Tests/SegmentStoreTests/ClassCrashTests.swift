internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Random work with classes, pins and thinning; restarts, and a stop at every disk call.
struct ClassCrashTests {
    @Test func randomWorkKeepsToTheRules() throws {
        var thinned: UInt64 = 0
        var expired: UInt64 = 0
        for seed in 1...(StoreCrashTests.isFull ? 200 : 8) as ClosedRange<UInt64> {
            let hasAges = seed % 3 != 0
            let model = ClassModel(seed: seed, ordinaryBytes: seed % 2 == 0 ? 12_000 : nil, ages: hasAges)
            try model.fixture.open()
            for step in 0..<150 {
                model.step()
                let context = "seed \(seed), step \(step)"
                if step % 25 == 24 {
                    model.fixture.disk = model.fixture.disk.crash(model.random.oneIn(2) ? .kill : .powerLoss)
                    try model.fixture.open()
                }
                let defect = try model.defect() ?? (hasAges ? nil : model.wholeTraceDefect())
                #expect(defect == nil, "\(context): \(defect ?? "")")
                if defect != nil { break }
            }
            let store = try #require(model.fixture.store)
            model.compact()
            let defect = try model.defect() ?? model.fileDefect()
            #expect(defect == nil, "seed \(seed): \(defect ?? "")")
            let terms = store.ledgerTerms
            if seed % 2 == 1 { #expect(terms.thinned == 0, "no byte budget, no thinning") }
            thinned += terms.thinned
            expired += terms.expired
        }
        #expect(thinned > 20 && expired > 20, "\(thinned) thinned, \(expired) expired")
    }

    /// Short, with every step in it.
    static func work(_ model: ClassModel) {
        guard let store = try? model.fixture.open() else { return }
        store.applyRetention(now: model.fixture.clock.now)
        for round in 0..<7 {
            model.ingest()
            model.ingest()
            if round % 2 == 1 { model.pin(TraceID(high: 0, low: 0x9E37_79B9 * UInt64(round))) }
            if round % 2 == 1 { model.pin(TraceID(high: 1, low: 0x9E37_79B9 * UInt64(round))) }
            store.sealNow()
            model.fixture.clock.advance(seconds: 400)
            if round == 5, let trace = model.pinned.keys.sorted().first { model.unpin(trace) }
            store.compactStep()
            store.applyRetention(now: model.fixture.clock.now)
        }
        model.compact()
        store.applyRetention(now: model.fixture.clock.now)
    }

    @Test func everyCallOfAWorkloadWithClasses() throws {
        let isFull = StoreCrashTests.isFull
        for seed in 1...(isFull ? 20 : 1) as ClosedRange<UInt64> {
            let whole = ClassModel(seed: seed, ordinaryBytes: 6_000)
            Self.work(whole)
            let terms = try #require(whole.fixture.store?.ledgerTerms)
            #expect(terms.thinned > 0 && terms.expired > 0 && !whole.pinned.isEmpty, "\(terms)")
            #expect(whole.defect() == nil, "seed \(seed): \(whole.defect() ?? "")")
            let calls = whole.fixture.disk.callCount
            for call in stride(from: 1, through: calls + 1, by: isFull ? 1 : max(calls / 40, 1)) {
                let model = ClassModel(seed: seed, ordinaryBytes: 6_000)
                model.fixture.disk.change { $0.crashAt = call }
                Self.work(model)
                let stopped = model.fixture.disk
                for kind in [.kill, .powerLoss, .tornPowerLoss(seed: seed &* 31 &+ UInt64(call))]
                    as [SimulatedDisk.Crash]
                {
                    let context = "seed \(seed), stopped at call \(call) of \(calls), \(kind)"
                    model.fixture.disk = stopped.crash(kind)
                    do { try model.fixture.open() } catch { Issue.record("\(context): \(error)") }
                    var defect = model.defect(isExact: false)
                    #expect(defect == nil, "\(context): \(defect ?? "")")
                    model.compact()
                    defect = model.defect(isExact: false)
                    #expect(defect == nil, "\(context), after more merges: \(defect ?? "")")
                }
            }
        }
    }

    @Test func everyCallFailsOnce() throws {
        let whole = ClassModel(seed: 5, ordinaryBytes: 6_000)
        Self.work(whole)
        let calls = whole.fixture.disk.callCount
        for call in stride(from: 1, through: calls, by: StoreCrashTests.isFull ? 1 : max(calls / 40, 1)) {
            let model = ClassModel(seed: 5, ordinaryBytes: 6_000)
            model.fixture.disk.change { $0.failures = [call: 28] }
            Self.work(model)
            let context = "errno 28 at call \(call) of \(calls)"
            if let store = model.fixture.store { #expect(store.ledgerTerms.balanced, "\(context)") }
            model.fixture.disk = model.fixture.disk.crash(.powerLoss)
            do { try model.fixture.open() } catch { Issue.record("\(context): \(error)") }
            let defect = model.defect(isExact: false)
            #expect(defect == nil, "\(context): \(defect ?? "")")
        }
    }
}
