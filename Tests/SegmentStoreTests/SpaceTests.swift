internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// A disk that fills up: watermarks, the ballast, and what still works on a disk without a free byte.
struct SpaceTests {
    private static let reserved: UInt64 = 800_000

    @Test func watermarksFollowTheSizeOfTheDisk() {
        let small = Watermarks(totalBytes: 64 << 20)
        #expect(small.hard == (64 << 20) / 20 && small.soft == (64 << 20) / 10 && small.ballast == small.hard / 8)
        let large = Watermarks(totalBytes: 1 << 40)
        #expect(large.hard == 1 << 30 && large.soft == 2 << 30 && large.ballast == 64 << 20)
        #expect(large.level(freeBytes: 3 << 30) == .ample && large.level(freeBytes: 2 << 30) == .ample)
        #expect(large.level(freeBytes: (2 << 30) - 1) == .low && large.level(freeBytes: 1 << 30) == .low)
        #expect(large.level(freeBytes: (1 << 30) - 1) == .full)
        #expect(Watermarks(reservedBytes: 0).level(freeBytes: 0) == .ample)
    }

    private func fixture(_ change: @escaping (inout StoreConfiguration) -> Void = { _ in }) -> StoreFixture {
        var options = SimulatedDisk.Options()
        options.countsPreallocated = true
        return StoreFixture(disk: SimulatedDisk(options)) {
            $0.reservedBytes = Self.reserved
            change(&$0)
        }
    }

    /// Leaves so many bytes free.
    private func leave(_ bytes: UInt64, on fixture: StoreFixture) throws {
        let used = try fixture.disk.space()
        fixture.disk.change { $0.capacity = used.totalBytes - used.freeBytes + bytes }
    }

    @Test func belowTheSoftWatermarkRetentionAndDeletionAreEarly() throws {
        let fixture = fixture {
            $0.retention = RetentionPolicy(bytes: 9_000_000)
            $0.compaction.deletionDelay = .max
        }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        let batch = spans.batch(30)
        fixture.commit([batch])
        store.sealNow()
        #expect(store.space.level == .ample)
        #expect(try store.delete([batch.record(0).traceID], tenant: BatchOrigin.defaultTenant) == 1)
        #expect(!store.compactStep())
        try leave(Self.reserved + 10, on: fixture)
        store.idleStep()
        #expect(store.space.level == .low && store.state == .ok)
        fixture.commit([spans.batch(1)])
        #expect(fixture.refusals.isEmpty)
        #expect(store.compactStep(), "deleted traces go at once")
        #expect(store.ledgerTerms.deleted > 0 && store.ledgerTerms.balanced)
    }

    @Test func belowTheHardWatermarkQueriesAndDeletionsGoOn() throws {
        let fixture = fixture()
        var spans = SpanGenerator(seed: 2)
        let store = try fixture.open()
        let batch = spans.batch(40)
        fixture.commit([batch])
        store.sealNow()
        fixture.commit([spans.batch(5)])
        try leave(Self.reserved - 1, on: fixture)
        store.idleStep()
        guard case .readOnly = store.state else {
            Issue.record("\(store.state)")
            return
        }
        #expect(store.space.level == .full)
        fixture.commit([spans.batch(1)])
        #expect(fixture.refusals.count == 1)
        #expect(try fixture.missing().isEmpty)
        let traceID = batch.record(0).traceID
        #expect(try store.delete([traceID], tenant: BatchOrigin.defaultTenant) == 1)
        fixture.acknowledged = fixture.acknowledged.mapValues { $0.filter { $0.traceID != traceID } }
        while store.sealStep() {}
        #expect(store.compactStep())
        #expect(store.ledgerTerms.deleted > 0)
        try leave(2 * Self.reserved, on: fixture)
        store.idleStep()
        #expect(store.state == .ok)
        fixture.commit([spans.batch(2)])
        #expect(fixture.refusals.count == 1)
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(try fixture.missing().isEmpty)
        #expect(again.ledgerTerms.balanced && again.ledgerTerms.lost == 0)
    }

    @Test func onADiskWithoutAFreeByteTheBallastMakesRoom() throws {
        let fixture = fixture { $0.retention = RetentionPolicy(bytes: .max) }
        var spans = SpanGenerator(seed: 3)
        let store = try fixture.open()
        let batch = spans.batch(40, arrival: fixture.clock.now)
        fixture.commit([batch])
        store.sealNow()
        fixture.commit([spans.batch(9, arrival: fixture.clock.now)])
        store.sealNow()
        #expect(store.space.ballastBytes == Self.reserved / 8)
        #expect(fixture.disk.paths.contains("BALLAST"))
        try leave(0, on: fixture)
        store.idleStep()
        guard case .readOnly = store.state else {
            Issue.record("\(store.state)")
            return
        }
        #expect(try store.delete([batch.record(0).traceID], tenant: BatchOrigin.defaultTenant) == 1)
        #expect(store.space.ballastBytes == 0 && !fixture.disk.paths.contains("BALLAST"))
        store.setRetention(RetentionPolicy(bytes: 0))
        store.applyRetention(now: fixture.clock.now)
        #expect(store.ledgerTerms.segmentCount == 0 && store.ledgerTerms.expired == 49)
        #expect(store.ledgerTerms.balanced)
        try leave(4 * Self.reserved, on: fixture)
        store.setRetention(RetentionPolicy(bytes: .max))
        store.idleStep()
        #expect(store.state == .ok && store.space.ballastBytes > 0 && fixture.disk.paths.contains("BALLAST"))
        fixture.commit([spans.batch(2)])
        #expect(fixture.refusals.isEmpty)
    }

    @Test func aFullDiskCanBeOpenedAndRead() throws {
        for hasBallast in [true, false] {
            let fixture = fixture { if !hasBallast { $0.reservedBytes = 0 } }
            var spans = SpanGenerator(seed: 4)
            let store = try fixture.open()
            fixture.commit([spans.batch(20)])
            store.sealNow()
            fixture.commit([spans.batch(7)])
            fixture.disk = fixture.disk.crash(.kill)
            try leave(0, on: fixture)
            let again = try fixture.open()
            guard case .readOnly = again.state else {
                Issue.record("\(again.state), ballast: \(hasBallast)")
                continue
            }
            #expect(try fixture.missing().isEmpty)
            fixture.commit([spans.batch(1)])
            #expect(fixture.refusals.count == 1)
            fixture.disk.change { $0.capacity = 1 << 40 }
            again.idleStep()
            #expect(again.state == .ok)
            fixture.commit([spans.batch(3)])
            #expect(fixture.refusals.count == 1 && again.ledgerTerms.balanced)
            fixture.disk = fixture.disk.crash(.powerLoss)
            let last = try fixture.open()
            #expect(try fixture.missing().isEmpty)
            #expect(last.ledgerTerms.balanced && last.ledgerTerms.lost == 0)
        }
    }

    // MARK: Full from any call on

    /// Commits, seals, deletes, merges and expires.
    private func work(_ fixture: StoreFixture) throws {
        var spans = SpanGenerator(seed: 5)
        guard let store = fixture.store ?? (try? fixture.open()) else { return }
        for step in 0..<6 {
            let batch = spans.batch(5 + spans.random.below(20), arrival: fixture.clock.now)
            fixture.commit([batch])
            store.sealNow()
            if step == 3 {
                let traceID = batch.record(0).traceID
                let deleted = (try? store.delete([traceID], tenant: BatchOrigin.defaultTenant)) ?? 0
                if deleted > 0 { fixture.forget(traceID) }
            }
            fixture.clock.advance(seconds: 2)
            store.idleStep()
            store.compactStep()
            store.applyRetention(now: fixture.clock.now)
        }
    }

    @Test func fullFromAnyCallOnUntilThereIsRoom() throws {
        let change: (inout StoreConfiguration) -> Void = {
            $0.compaction.fanIn = 2
            $0.compaction.deletionDelay = 0
        }
        let whole = fixture(change)
        try work(whole)
        let calls = whole.disk.callCount
        for call in stride(from: 1, through: calls, by: StoreCrashTests.isFull ? 1 : max(1, calls / 80)) {
            let context = "full from call \(call) of \(calls)"
            let fixture = fixture(change)
            fixture.disk.change { $0.fullFrom = call }
            try work(fixture)
            #expect(try fixture.missing().isEmpty, "\(context)")
            if let store = fixture.store { #expect(store.ledgerTerms.balanced, "\(context)") }
            let full = fixture.disk
            fixture.disk.change { $0.fullFrom = nil }
            if let store = fixture.store {
                store.idleStep()
                while store.sealStep() {}
                #expect(store.state == .ok, "\(context)")
                let refusals = fixture.refusals.count
                var more = SpanGenerator(seed: 6)
                fixture.commit([more.batch(3)])
                #expect(fixture.refusals.count == refusals, "\(context): takes spans again")
            }
            fixture.disk = full.crash(.powerLoss)
            let again = try fixture.open()
            #expect(try fixture.missing().isEmpty, "\(context), then power loss")
            #expect(again.ledgerTerms.balanced && again.ledgerTerms.lost == 0, "\(context), then power loss")
        }
    }
}

extension StoreFixture {
    /// What was deleted on request is not asked for.
    func forget(_ traceID: TraceID) {
        acknowledged = acknowledged.mapValues { $0.filter { $0.traceID != traceID } }
    }
}
