internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import Testing

/// Segments become fewer, and what queries find stays the same.
struct CompactionTests {
    /// Two tenants, traces that are spread over all segments, blocks of a few spans.
    private func filled(
        segments: Int, seed: UInt64, blockSpans: Int = 7, spans: Int = 30, traces: Int = 20,
        _ change: @escaping (inout StoreConfiguration) -> Void = { _ in }
    ) throws -> StoreFixture {
        let fixture = StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = segments
            configuration.compaction.blockSpans = blockSpans
            change(&configuration)
        }
        var generator = SpanGenerator(seed: seed)
        generator.traceCount = traces
        let store = try fixture.open()
        for _ in 0..<segments {
            fixture.commit([
                generator.batch(1 + generator.random.below(spans), arrival: fixture.clock.now),
                generator.batch(1 + generator.random.below(spans), tenant: "other", arrival: fixture.clock.now),
            ])
            store.sealNow()
            fixture.clock.advance(seconds: 1)
        }
        return fixture
    }

    private func bag(_ store: SegmentStore) throws -> [SpanRecord: Int] {
        var counts: [SpanRecord: Int] = [:]
        for tenant in [BatchOrigin.defaultTenant, "other"] {
            for span in try StoreFixture.spans(of: store, tenant: tenant) { counts[span, default: 0] += 1 }
        }
        return counts
    }

    @Test func everySpanIsThereOnceAfterwards() throws {
        for seed in 1...25 as ClosedRange<UInt64> {
            let traces = [1, 3, 20, 0][Int(seed % 4)]
            let fixture = try filled(
                segments: 2 + Int(seed % 4), seed: seed, blockSpans: [1, 7, 64][Int(seed % 3)], traces: traces)
            let store = try #require(fixture.store)
            let before = try bag(store)
            let live = store.ledgerTerms.live
            let held = store.parts()
            #expect(store.compactStep(), "seed \(seed)")
            #expect(store.ledgerTerms.segmentCount == 1, "seed \(seed)")
            #expect(try bag(store) == before, "seed \(seed)")
            #expect(store.ledgerTerms.live == live && store.ledgerTerms.balanced)
            let names = fixture.disk.paths.filter { $0.hasPrefix("segments/") }
            #expect(names.count == 1 && names[0].hasSuffix(".L1.seg"), "seed \(seed): \(names)")
            // A query that began before the swap still reads the inputs.
            let late = try held.reduce(0) { $0 + (try $1.extents(matching: SpanFilter(), budget: QueryBudget())).count }
            #expect(late > 0)
            fixture.disk = fixture.disk.crash(.powerLoss)
            let again = try fixture.open()
            #expect(try bag(again) == before && again.ledgerTerms.balanced && again.state == .ok, "seed \(seed)")
        }
    }

    @Test func mergesStandBackWhileRequestsAreRefusedUpToABound() throws {
        for (mostWaiting, goesOn) in [(5, false), (4, true)] {
            let isPressed = Flag()
            let fixture = try filled(segments: 4, seed: 3) { configuration in
                configuration.compaction.mostWaiting = mostWaiting
                configuration.isPressed = { isPressed.value.load(ordering: .relaxed) }
            }
            let store = try #require(fixture.store)
            isPressed.value.store(true, ordering: .relaxed)
            #expect(store.compactStep() == goesOn)
            isPressed.value.store(false, ordering: .relaxed)
            #expect(store.compactStep() != goesOn)
            #expect(store.ledgerTerms.segmentCount == 1)
        }
    }

    private final class Flag: Sendable { let value = Atomic<Bool>(false) }

    @Test func partsOfATraceComeTogether() throws {
        let fixture = try filled(segments: 4, seed: 3, blockSpans: 512, traces: 5)
        let store = try #require(fixture.store)
        let filter = SpanFilter()
        let before = try store.parts().map { try $0.extents(matching: filter, budget: QueryBudget()).count }
        store.compactStep()
        let after = try store.parts().map { try $0.extents(matching: filter, budget: QueryBudget()) }.filter {
            !$0.isEmpty
        }
        #expect(before.reduce(0, +) > 10 && after.count == 1)
        for extent in try #require(after.first) {
            let part = try #require(store.parts().last)
            let spans = try part.spans(of: extent.traceID, tenant: filter.tenant, budget: QueryBudget())
            #expect(extent.start == spans.map(\.start).min() && extent.end == spans.map(\.end).max())
        }
    }

    @Test func aTraceLargerThanABlockIsMergedInPieces() throws {
        let fixture = try filled(segments: 3, seed: 8, blockSpans: 16, spans: 400, traces: 1)
        let store = try #require(fixture.store)
        let before = try bag(store)
        #expect(store.compactStep())
        #expect(try bag(store) == before)
    }

    @Test func repeatedDeliveriesAreCountedAndDropped() throws {
        let fixture = StoreFixture { $0.compaction.fanIn = 3 }
        var generator = SpanGenerator(seed: 6)
        let store = try fixture.open()
        let records = generator.spans(40)
        var different = records[0]
        different.name += "!"
        for round in 1...3 as ClosedRange<UInt64> {
            let again = round == 2 ? records + [different] : records
            fixture.commit([SpanBatch(origin: BatchOrigin(arrival: round), records: again)])
            store.sealNow()
        }
        #expect(store.ledgerTerms.live == 121)
        #expect(store.compactStep())
        let terms = store.ledgerTerms
        #expect(terms.live == 41 && terms.merged == 80 && terms.stored == 121 && terms.balanced)
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
        #expect(found.count == 41 && found.filter { $0.spanID == records[0].spanID }.count == 2)
        #expect(found.allSatisfy { $0.arrival == 1 || $0.name.hasSuffix("!") }, "the first delivery stays")
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(again.ledgerTerms.merged == 80 && again.ledgerTerms.live == 41 && again.ledgerTerms.balanced)
    }

    @Test func levelsRiseAndTheBytesFall() throws {
        let fixture = StoreFixture { configuration in
            configuration.compaction.fanIn = 2
            configuration.headBytes = 1 << 30
        }
        var generator = SpanGenerator(seed: 2)
        generator.traceCount = 0
        let store = try fixture.open()
        for _ in 0..<8 {
            fixture.commit([generator.batch(200, arrival: fixture.clock.now)])
            store.sealNow()
        }
        let before = store.ledgerTerms.segmentBytes
        while store.compactStep() {}
        let terms = store.ledgerTerms
        #expect(terms.segmentCount == 1 && terms.live == 1_600 && terms.segmentBytes < before)
        #expect(fixture.disk.paths.contains { $0.hasSuffix(".L3.seg") })
        #expect(try fixture.missing().isEmpty)
    }

    @Test func runsThatRetentionCouldNotRemoveInTimeAreNotMerged() throws {
        let day: UInt64 = 86_400 * 1_000_000_000
        let fixture = try filled(segments: 2, seed: 1) { $0.retention = RetentionPolicy(age: 4 * 1_000_000_000) }
        #expect(try #require(fixture.store).compactStep() == false)
        let small = try filled(segments: 2, seed: 1) { $0.retention = RetentionPolicy(bytes: 4_000) }
        #expect(try #require(small.store).compactStep() == false)
        let long = try filled(segments: 2, seed: 1) { $0.retention = RetentionPolicy(age: 7 * day) }
        #expect(try #require(long.store).compactStep())
        let off = try filled(segments: 2, seed: 1) { $0.compaction.isOn = false }
        #expect(try #require(off.store).compactStep() == false)
    }

    @Test func aDamagedInputIsLeftAloneAndNothingIsLost() throws {
        let fixture = try filled(segments: 3, seed: 4)
        let names = fixture.disk.paths.filter { $0.hasPrefix("segments/") }
        var bytes = try #require(fixture.disk.bytes(of: names[1]))
        bytes[70] ^= 1
        fixture.disk = fixture.disk.crash(.kill)
        fixture.disk.set(names[1], to: bytes)
        let store = try fixture.open()
        let live = store.ledgerTerms.live
        #expect(!store.compactStep() && !store.compactStep())
        #expect(store.ledgerTerms.live == live && store.ledgerTerms.segmentCount == 3 && store.ledgerTerms.balanced)
        #expect(fixture.disk.paths.allSatisfy { !$0.hasSuffix(".tmp") })
    }

    @Test func retentionBetweenTheMergeAndTheSwapWins() throws {
        let fixture = try filled(segments: 2, seed: 5) { $0.retention = RetentionPolicy(age: 1 << 50) }
        let store = try #require(fixture.store)
        store.applyRetention(now: fixture.clock.now)
        #expect(store.compactStep())
        let live = store.ledgerTerms.live
        store.applyRetention(now: fixture.clock.now + 1)
        #expect(store.ledgerTerms.live == live)
    }
}
