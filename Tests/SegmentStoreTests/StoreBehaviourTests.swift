internal import HostIO
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import Testing

#if canImport(Glibc)
    internal import Glibc
#endif

/// Durability modes, overload, full disks, retention, and the threads on a real disk.
struct StoreBehaviourTests {
    private static let day: UInt64 = 86_400 * 1_000_000_000

    @Test func whatIntervalWroteIsRewrittenWhenItsSyncFails() throws {
        let fixture = StoreFixture { $0.durability = .interval }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        fixture.commit([spans.batch(3)])
        #expect(!store.durable(sequence: 1))
        let next = fixture.disk.callCount + 1
        fixture.disk.change { $0.failures = [next: 5] }
        store.syncStep()
        #expect(store.durable(sequence: 1))
        fixture.disk = fixture.disk.crash(.powerLoss)
        try fixture.open()
        #expect(try fixture.missing().isEmpty)
    }

    @Test func memoryLosesOnlyWhatWasNotSealed() throws {
        let fixture = StoreFixture { $0.durability = .memory }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        fixture.commit([spans.batch(3)])
        store.sealNow()
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(try fixture.missing().isEmpty)
        #expect(again.ledgerTerms.balanced && again.ledgerTerms.live == 3)
    }

    @Test func aFullDiskRefusesAndTakesAgainWhenThereIsRoom() throws {
        let fixture = StoreFixture { $0.reservedBytes = 1_000 }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        fixture.commit([spans.batch(5)])
        let used = 1 << 40 - (try fixture.disk.space().freeBytes)
        fixture.disk.change { $0.capacity = used + 2_000 }
        fixture.commit([spans.batch(50)])
        if case .readOnly = store.state {} else { Issue.record("\(store.state)") }
        fixture.commit([spans.batch(1)])
        #expect(fixture.refusals.count == 2)
        #expect(try fixture.missing().isEmpty)
        store.idleStep()
        fixture.commit([spans.batch(1)])
        #expect(fixture.refusals.count == 3)
        fixture.disk.change { $0.capacity = 1 << 40 }
        store.idleStep()
        #expect(store.state == .ok)
        fixture.commit([spans.batch(2)])
        #expect(fixture.refusals.count == 3)
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(try fixture.missing().isEmpty)
        #expect(again.ledgerTerms.balanced && again.ledgerTerms.lost == 0)
    }

    @Test func theQueueIsBoundedAndALargeRequestStillFits() throws {
        let fixture = StoreFixture { $0.commitQueueBytes = 10_000 }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        let refused = Mutex<[CommitRefusal]>([])
        for _ in 0..<3 {
            store.append(spans.batch(40)) { result in
                if case .failure(let refusal) = result { refused.withLock { $0.append(refusal) } }
            }
        }
        #expect(refused.withLock { $0 } == [.busy(retryAfter: 1), .busy(retryAfter: 1)])
        #expect(store.ledgerTerms.inFlight == 40)
        while store.commitStep() {}
        #expect(store.ledgerTerms.stored == 40 && store.ledgerTerms.inFlight == 0)
    }

    @Test func sealingThatFallsBehindMakesTheStoreBusy() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        for _ in 0..<200 where !store.isBehind { fixture.commit([spans.batch(20)]) }
        // What is under way at that moment finds room.
        fixture.commit([spans.batch(20)])
        #expect(store.isBehind && fixture.refusals.isEmpty && store.ledgerTerms.sealingHeads == 2)
        for _ in 0..<200 where fixture.refusals.isEmpty { fixture.commit([spans.batch(20)]) }
        #expect(fixture.refusals == [.busy(retryAfter: 2)])
        while store.sealStep() {}
        #expect(!store.isBehind && store.ledgerTerms.sealingHeads == 0)
        store.sealNow()
        fixture.commit([spans.batch(20)])
        #expect(fixture.refusals.count == 1)
        #expect(try fixture.missing().isEmpty)
    }

    @Test func headsThatCannotBeSealedAtTheMomentAreNoLoad() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        for _ in 0..<200 where !store.isBehind { fixture.commit([spans.batch(20)]) }
        fixture.disk.change { $0.failing[.rename] = 5 }
        #expect(!store.sealStep() && !store.isBehind)
        fixture.commit([spans.batch(1)])
        #expect(fixture.refusals.isEmpty && store.ledgerTerms.sealingHeads == 2)
        fixture.disk.change { $0.failing[.rename] = nil }
        while store.sealStep() {}
        #expect(store.ledgerTerms.sealingHeads == 0)
        #expect(try fixture.missing().isEmpty)
    }

    @Test func retentionCountsFromArrivalAndSurvivesClockSteps() throws {
        let fixture = StoreFixture { $0.retention = RetentionPolicy(age: 2 * Self.day, bytes: .max) }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        store.applyRetention(now: fixture.clock.now)
        for _ in 0..<3 {
            fixture.commit([spans.batch(4, arrival: fixture.clock.now)])
            store.sealNow()
            for _ in 0..<24 {
                fixture.clock.advance(seconds: 3_600)
                store.applyRetention(now: fixture.clock.now)
            }
        }
        #expect(store.ledgerTerms.expired == 4 && store.ledgerTerms.live == 8)
        store.applyRetention(now: fixture.clock.now + 3_650 * Self.day)
        store.applyRetention(now: fixture.clock.now + 3_650 * Self.day + 1)
        store.applyRetention(now: 1)
        #expect(store.ledgerTerms.live == 8, "a step of the clock removes nothing")
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(again.ledgerTerms.expired == 4 && again.ledgerTerms.live == 8 && again.ledgerTerms.balanced)
        #expect(again.state == .ok)
    }

    @Test func aLongStopIsBelievedAfterThreeConfirmations() {
        let minute: UInt64 = 60 * 1_000_000_000
        var clock = RetentionClock(highWater: 1_000 * minute)
        let start = 9_000 * minute
        #expect(clock.observe(start) == nil)
        for step in 1...3 as ClosedRange<UInt64> {
            #expect(clock.observe(start + step * 10 * minute - 1) == nil)
            #expect((clock.observe(start + step * 10 * minute) != nil) == (step == 3))
        }
        #expect(clock.highWater == start + 30 * minute)
        #expect(clock.observe(start) == nil)
    }

    @Test func retentionByBytesKeepsTheNewest() throws {
        let fixture = StoreFixture { $0.retention = RetentionPolicy(bytes: 20_000) }
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        for step in 0..<6 {
            fixture.commit([spans.batch(100, arrival: UInt64(step))])
            store.sealNow()
        }
        store.applyRetention(now: fixture.clock.now)
        let terms = store.ledgerTerms
        #expect(terms.bytesOnDisk <= 20_000 && terms.live > 0 && terms.expired > 0 && terms.balanced)
        let arrivals = Set(try StoreFixture.spans(of: store, tenant: "default").map(\.arrival))
        #expect(arrivals.contains(5) && !arrivals.contains(0))
    }

    @Test func oneOwnerADirectory() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        #expect(throws: StoreOpenError.inUse("LOCK")) {
            try SegmentStore.open(fixture.disk, configuration: fixture.configuration)
        }
        #expect(store.close())
        #expect(store.state == .closed)
        _ = try fixture.open()
    }

    /// A directory of its own, gone afterwards.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var name = Array("/tmp/crest-store-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&name).map { String(cString: $0) })
        defer { removeTree(path) }
        try body(path)
    }

    private func removeTree(_ path: String) {
        guard let disk = try? HostDisk(path) else { return }
        for folder in ["wal", "segments", "quarantine", ""] {
            for entry in (try? disk.list(folder)) ?? [] where entry.isRegularFile {
                try? disk.remove(folder.isEmpty ? entry.name : "\(folder)/\(entry.name)")
            }
            rmdir(folder.isEmpty ? path : "\(path)/\(folder)")
        }
    }

    @Test func threadsOnARealDisk() throws {
        try withDirectory { path in
            var configuration = StoreConfiguration(wallClock: SystemClock.now)
            configuration.headBytes = 300_000
            configuration.reservedBytes = 0
            let count = Atomic<Int>(0)
            let refused = Atomic<Int>(0)
            var spans = SpanGenerator(seed: 3)
            spans.traceCount = 0
            let store = try SegmentStore.open(HostDisk(path), configuration: configuration)
            for _ in 0..<200 {
                store.append(spans.batch(20, arrival: SystemClock.now())) { result in
                    if case .failure = result { refused.add(1, ordering: .relaxed) }
                    count.add(1, ordering: .releasing)
                }
            }
            let deadline = ContinuousClock.now + .seconds(20)
            while count.load(ordering: .acquiring) < 200, ContinuousClock.now < deadline { usleep(1_000) }
            #expect(count.load(ordering: .acquiring) == 200)
            let stored = UInt64(200 - refused.load(ordering: .relaxed)) * 20
            #expect(store.ledgerTerms.stored == stored && store.ledgerTerms.balanced)
            #expect(throws: StoreOpenError.inUse("LOCK")) {
                try SegmentStore.open(HostDisk(path), configuration: configuration)
            }
            #expect(store.close())
            let again = try SegmentStore.open(HostDisk(path), configuration: configuration)
            #expect(again.ledgerTerms.live == stored && again.recovery.closedInOrder)
            #expect(try StoreFixture.spans(of: again, tenant: "default").count == Int(stored))
            #expect(again.close(sealing: false))
        }
    }
}
