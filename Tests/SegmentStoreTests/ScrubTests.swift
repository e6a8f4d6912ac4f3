internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// The scrub reads everything below its rate, finds what rotted, and keeps what is left queryable; every step by hand.
struct ScrubTests {
    private func store(_ scene: SalvageTests.Scene, rate: UInt64 = 2_000) throws -> SegmentStore {
        var configuration = scene.fixture.configuration
        configuration.compaction.isOn = false
        configuration.scrub.bytesPerSecond = rate
        configuration.scrub.intervalMilliseconds = 3_600_000
        return try SegmentStore.open(scene.disk, configuration: configuration)
    }

    /// One step a second until a pass is done; the seconds it took.
    private func pass(_ store: SegmentStore, from start: Int) -> Int {
        let passes = store.scrubCounts.passes
        for second in 0..<10_000 {
            store.scrubStep(now: start + second * 1_000)
            if store.scrubCounts.passes > passes { return second }
        }
        return .max
    }

    @Test func aPassReadsEveryByteBelowItsRate() throws {
        let scene = try SalvageTests.withSmallBlocks(SalvageTests.scene(seed: 21, segments: 4))
        let store = try store(scene)
        let bytes = store.ledgerTerms.segmentBytes
        var last = 0.0
        store.scrubStep(now: 0)
        #expect(store.scrubCounts == ScrubCounts(), "nothing is allowed before time has passed")
        for second in 1...5 {
            store.scrubStep(now: second * 1_000)
            let counts = store.scrubCounts
            #expect(counts.progress >= last && counts.progress <= 1)
            last = counts.progress
            #expect(counts.bytes <= UInt64(second * 2_000) + bytes / 4, "at most one block beyond the rate")
        }
        let seconds = pass(store, from: 6_000)
        let counts = store.scrubCounts
        #expect(counts.bytes == bytes && counts.damagedBlocks == 0 && counts.passes == 1 && counts.progress == 1)
        #expect(seconds + 6 >= Int(bytes / 2_000) - 2)
        store.scrubStep(now: 3_000_000)
        #expect(store.scrubCounts.bytes == bytes, "the next pass waits for its time")
        #expect(pass(store, from: 3_700_000) < 10_000)
        #expect(store.scrubCounts.bytes == 2 * bytes && store.state == .ok)
    }

    @Test(arguments: UInt64(30)...41)
    func damageIsSetAsideAndTheRestStays(seed: UInt64) throws {
        let scene = try SalvageTests.withSmallBlocks(SalvageTests.scene(seed: seed, segments: 4))
        let store = try store(scene, rate: 1 << 30)
        var random = SeededRandom(seed: seed)
        let path = random.pick(scene.disk.paths.filter { $0.hasPrefix("segments/") })
        var bytes = try #require(scene.disk.bytes(of: path))
        let offset = random.below(bytes.count)
        bytes[offset] ^= 1 << UInt8(random.below(8))
        scene.disk.set(path, to: bytes)
        #expect(pass(store, from: 0) < 10_000)
        #expect(store.scrubCounts.damagedSegments == 1, "seed \(seed): byte \(offset) of \(path)")
        guard case .degraded = store.state else {
            Issue.record("seed \(seed): \(store.state)")
            return
        }
        let name = path.split(separator: "/")[1]
        #expect(scene.disk.bytes(of: "quarantine/\(name).damaged") == bytes, "the original is kept")
        #expect(scene.disk.bytes(of: path) == nil)
        func check(_ store: SegmentStore) throws {
            let terms = store.ledgerTerms
            #expect(terms.balanced && terms.lost == 0, "\(terms)")
            let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
            #expect(Set(found).isSubset(of: Set(scene.all)))
            #expect(UInt64(scene.all.count - found.count) == terms.quarantined, "seed \(seed): \(terms)")
            #expect(terms.quarantined <= 16, "at most a block")
        }
        try check(store)
        let again = try SegmentStore.open(scene.disk.crash(.powerLoss), configuration: scene.fixture.configuration)
        try check(again)
        guard case .degraded = again.state else {
            Issue.record("seed \(seed): \(again.state)")
            return
        }
        let (report, _, found) = try SalvageTests.salvage(scene.disk.crash(.kill), scene)
        #expect(UInt64(scene.all.count - found.count) == report.lostSpans)
        #expect(report.losses.reduce(0) { $0 + ($1.spans ?? 0) } == report.lostSpans, "\(report.losses)")
    }

    @Test func anErrorOfTheMediumMovesNothing() throws {
        let scene = try SalvageTests.scene(seed: 22)
        let store = try store(scene, rate: 1 << 30)
        scene.disk.change { $0.failing[.read] = 5 }
        #expect(pass(store, from: 0) < 10_000)
        #expect(store.scrubCounts.errors > 0 && store.scrubCounts.damagedSegments == 0)
        scene.disk.change { $0.failing = [:] }
        #expect(scene.disk.paths.filter { $0.hasPrefix("quarantine/") }.isEmpty)
        #expect(pass(store, from: 4_000_000) < 10_000)
        #expect(try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant).count == scene.all.count)
    }
}
