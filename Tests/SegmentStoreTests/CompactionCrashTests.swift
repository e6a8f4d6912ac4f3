internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Stops the machine at every disk call of a workload that merges, deletes and expires, and starts again.
struct CompactionCrashTests {
    /// What the store promised: spans that must be found, and spans that must not.
    private final class Model {
        let fixture: StoreFixture
        var deleted: Set<SpanRecord> = []
        /// Spans of a deletion that was refused or cut off: either is right.
        var doubtful: Set<SpanRecord> = []

        init() {
            fixture = StoreFixture { configuration in
                configuration.headBytes = 1 << 30
                configuration.compaction.fanIn = 2
                configuration.compaction.blockSpans = 8
                configuration.compaction.deletionDelay = 3 * 1_000_000_000
            }
        }

        func delete(_ id: TraceID) {
            let spans = Set(
                (fixture.acknowledged[BatchOrigin.defaultTenant] ?? []).filter { $0.traceID == id })
            do {
                _ = try fixture.store?.delete([id], tenant: BatchOrigin.defaultTenant)
                deleted.formUnion(spans)
                doubtful.subtract(spans)
            } catch {
                doubtful.formUnion(spans.subtracting(deleted))
            }
        }
    }

    private func work(_ model: Model, seed: UInt64) {
        let fixture = model.fixture
        var spans = SpanGenerator(seed: seed)
        spans.traceCount = 6
        guard let store = try? fixture.open() else { return }
        for step in 0..<8 {
            let tenant = spans.random.oneIn(4) ? "other" : BatchOrigin.defaultTenant
            fixture.commit([spans.batch(1 + spans.random.below(12), tenant: tenant, arrival: fixture.clock.now)])
            if step % 3 == 1 {
                let low = UInt64(spans.random.below(6)) + 1
                model.delete(TraceID(high: spans.random.oneIn(3) ? 0 : 7, low: low))
            }
            if step % 2 == 1 { store.sealNow() }
            fixture.clock.advance(seconds: 2)
            store.compactStep()
        }
        store.sealNow()
        while store.compactStep() {}
    }

    private func check(_ model: Model, _ context: String) {
        do {
            let store = try model.fixture.open()
            let terms = store.ledgerTerms
            #expect(terms.balanced && terms.lost == 0 && store.state == .ok, "\(context): \(terms) \(store.recovery)")
            var found: [SpanRecord: Int] = [:]
            for tenant in [BatchOrigin.defaultTenant, "other"] {
                for span in try StoreFixture.spans(of: store, tenant: tenant) { found[span, default: 0] += 1 }
            }
            #expect(found.values.allSatisfy { $0 == 1 }, "\(context): a span is found twice")
            #expect(found.keys.allSatisfy { !model.deleted.contains($0) }, "\(context): a deleted span is found")
            let promised = model.fixture.acknowledged.values.joined().filter {
                !model.deleted.contains($0) && !model.doubtful.contains($0)
            }
            let missing = promised.filter { found[$0] == nil }
            #expect(missing.isEmpty, "\(context): \(missing.count) of \(promised.count) are missing")
            #expect(UInt64(found.count) <= terms.live, "\(context)")
            // And the store goes on from there.
            while store.compactStep() {}
            #expect(store.ledgerTerms.balanced, "\(context): after more merges")
        } catch {
            Issue.record("\(context): \(error)")
        }
    }

    @Test func everyCallOfACompactingWorkload() throws {
        let isFull = StoreCrashTests.isFull
        for seed in 1...(isFull ? 20 : 1) as ClosedRange<UInt64> {
            let whole = Model()
            work(whole, seed: seed)
            #expect(whole.fixture.disk.count(of: .rename) > 8)
            let terms = try #require(whole.fixture.store?.ledgerTerms)
            #expect(terms.deleted > 0 && terms.balanced)
            let calls = whole.fixture.disk.callCount
            for call in stride(from: 1, through: calls + 1, by: isFull ? 1 : max(calls / 60, 1)) {
                let model = Model()
                model.fixture.disk.change { $0.crashAt = call }
                work(model, seed: seed)
                let stopped = model.fixture.disk
                var kinds: [SimulatedDisk.Crash] = [.kill, .powerLoss]
                for torn in 0..<(isFull ? 6 : 1) {
                    kinds.append(.tornPowerLoss(seed: seed * 1_000_003 + UInt64(call * 10 + torn)))
                }
                for kind in kinds {
                    model.fixture.disk = stopped.crash(kind)
                    check(model, "seed \(seed), stopped at call \(call) of \(calls), \(kind)")
                }
            }
        }
    }

    @Test func everyCallFailsOnce() throws {
        let whole = Model()
        work(whole, seed: 3)
        let calls = whole.fixture.disk.callCount
        for code in [5, 28] as [Int32] {
            for call in stride(from: 1, through: calls, by: StoreCrashTests.isFull ? 1 : max(calls / 50, 1)) {
                let model = Model()
                model.fixture.disk.change { $0.failures = [call: code] }
                work(model, seed: 3)
                let context = "errno \(code) at call \(call) of \(calls)"
                if let store = model.fixture.store { #expect(store.ledgerTerms.balanced, "\(context)") }
                model.fixture.disk = model.fixture.disk.crash(.powerLoss)
                check(model, context + ", then power loss")
            }
        }
    }
}
