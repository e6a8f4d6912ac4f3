internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Starts over long logs: full heads are sealed on the way, and what was not synced is told from damage.
struct RecoverySealTests {
    /// A killed store whose log holds `batches` batches; nothing is sealed.
    private func logged(
        _ batches: Int, _ durability: Durability = .synced, then: (SegmentStore) -> Void = { _ in }
    ) throws -> StoreFixture {
        let fixture = StoreFixture {
            $0.headBytes = 1 << 30
            $0.durability = durability
        }
        var spans = SpanGenerator(seed: 21)
        let store = try fixture.open()
        for _ in 0..<batches { fixture.commit([spans.batch(6, arrival: fixture.clock.now)]) }
        then(store)
        fixture.disk = fixture.disk.crash(.kill)
        fixture.change = {
            $0.headBytes = 10_000
            $0.durability = durability
        }
        return fixture
    }

    private func check(_ fixture: StoreFixture, _ context: String = "") throws {
        let store = try fixture.open()
        #expect(store.state == .ok && store.ledgerTerms.lost == 0, "\(context): \(store.recovery)")
        #expect(store.ledgerTerms.balanced, "\(context): \(store.ledgerTerms)")
        #expect(try fixture.missing().isEmpty, "\(context)")
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant).count
        #expect(UInt64(found) == store.ledgerTerms.live, "\(context)")
    }

    @Test func aLongLogNeedsTheMemoryOfOneHead() throws {
        let fixture = try logged(60)
        try check(fixture)
        let store = try #require(fixture.store)
        #expect(store.recovery.segmentsSealed >= 5, "\(store.recovery)")
        #expect(store.ledgerTerms.headBytes < 20_000)
        #expect(store.ledgerTerms.segmentCount == store.recovery.segmentsSealed)
        while store.sealStep() {}
        store.sealNow()
        #expect(fixture.disk.paths.filter { $0.hasPrefix("wal/") }.count == 1)
        fixture.disk = fixture.disk.crash(.powerLoss)
        try check(fixture, "again")
    }

    @Test func aCrashAtAnyCallOfIt() throws {
        let before = try logged(30)
        let log = before.disk
        try before.open()
        let calls = before.disk.callCount
        for call in stride(from: 1, through: calls, by: max(1, calls / 30)) {
            let fixture = StoreFixture(disk: log.crash(.kill), before.change)
            fixture.acknowledged = before.acknowledged
            fixture.disk.change { $0.crashAt = call }
            _ = try? fixture.open()
            let stopped = fixture.disk
            for kind in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] as [SimulatedDisk.Crash] {
                fixture.disk = stopped.crash(kind)
                try check(fixture, "call \(call), \(kind)")
            }
        }
    }

    @Test func withoutRoomTheHeadsWait() throws {
        let fixture = try logged(60)
        fixture.disk.change { $0.failing = [.preallocate: 28, .create: 28] }
        let store = try fixture.open()
        #expect(try fixture.missing().isEmpty)
        #expect(store.recovery.segmentsSealed == 0 && store.ledgerTerms.segmentCount == 0)
        fixture.disk.change { $0.failing = [:] }
        while store.sealStep() {}
        #expect(store.ledgerTerms.segmentCount >= 5 && store.ledgerTerms.balanced)
        #expect(try fixture.missing().isEmpty)
    }

    /// Clears the group with this number in the only file of the log.
    private func clearGroup(_ number: Int, _ fixture: StoreFixture) throws {
        let path = try #require(fixture.disk.paths.first { $0.hasPrefix("wal/") })
        var bytes = try #require(fixture.disk.bytes(of: path))
        let magic = Array("CGRP".utf8)
        let groups = stride(from: 0, to: bytes.count - 4, by: 8).filter { Array(bytes[$0..<$0 + 4]) == magic }
        for index in groups[number]..<groups[number + 1] { bytes[index] = 0 }
        fixture.disk.set(path, to: bytes)
    }

    @Test func whatWasNotSyncedIsNoDamage() throws {
        let fixture = try logged(12, .interval)
        try clearGroup(4, fixture)
        for start in 0..<3 {
            let store = try fixture.open()
            let terms = store.ledgerTerms
            #expect(store.state == .ok && store.recovery.quarantined.isEmpty, "start \(start): \(store.recovery)")
            #expect(terms.lost == 6 && terms.live == 66 && terms.balanced, "start \(start): \(terms)")
            #expect(store.recovery.unsyncedSpans == (start < 2 ? 6 : 0))
            if start == 1 {
                while store.sealStep() {}
                store.sealNow()
            }
            fixture.disk = fixture.disk.crash(.powerLoss)
        }
    }

    @Test func whatWasSyncedIsDamage() throws {
        let fixture = try logged(12, .interval) {
            $0.syncStep()
            $0.witnessStep()
        }
        try clearGroup(4, fixture)
        let store = try fixture.open()
        #expect(store.ledgerTerms.lost == 6 && store.recovery.unsyncedSpans == 0 && store.ledgerTerms.balanced)
        guard case .degraded = store.state else { return #expect(Bool(false), "\(store.state)") }
        #expect(store.recovery.quarantined.count == 1)
    }

    @Test func aFullFileOfAnIntervalLogEndsWithAWitness() throws {
        let fixture = StoreFixture { $0.durability = .interval }
        var spans = SpanGenerator(seed: 22)
        try fixture.open()
        for _ in 0..<5 { fixture.commit([spans.batch(2, arrival: fixture.clock.now)]) }
        // Full, handed over, and stopped before it was sealed.
        fixture.disk.change { $0.failing = [.create: 5] }
        fixture.store?.sealNow()
        fixture.disk = fixture.disk.crash(.powerLoss)
        try clearGroup(2, fixture)
        let store = try fixture.open()
        guard case .degraded = store.state else { return #expect(Bool(false), "\(store.state)") }
        #expect(store.ledgerTerms.lost == 2 && store.recovery.unsyncedSpans == 0)
    }
}
