internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Pins: durable before they are answered, listed, limited, and stronger than age and bytes.
struct PinTests {
    private let tenant = BatchOrigin.defaultTenant
    private static let second: UInt64 = 1_000_000_000

    private func id(_ low: UInt64) -> TraceID { TraceID(high: 0, low: low) }

    private func put(_ fixture: StoreFixture, _ traces: [UInt64], _ first: UInt64) {
        var generator = SpanGenerator(seed: first)
        let records = traces.enumerated().map { index, trace in
            var record = generator.span()
            record.traceID = id(trace)
            record.spanID = SpanID(first + UInt64(index))
            return record
        }
        fixture.commit([SpanBatch(origin: BatchOrigin(arrival: fixture.clock.now), records: records)])
    }

    private func ids(_ store: SegmentStore) throws -> Set<UInt64> {
        Set(try StoreFixture.spans(of: store, tenant: tenant).map(\.spanID.value))
    }

    private func fixture(_ change: @escaping (inout StoreConfiguration) -> Void = { _ in }) -> StoreFixture {
        StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = 2
            configuration.compaction.deletionDelay = 0
            configuration.retention = RetentionPolicy(age: 1_000 * Self.second, bytes: .max)
            change(&configuration)
        }
    }

    @Test func aPinOutlivesAgeBytesAndPowerLoss() throws {
        let fixture = fixture()
        var store = try fixture.open()
        store.applyRetention(now: fixture.clock.now)
        put(fixture, [1, 2], 10)
        #expect(throws: PinError.unknown) { try store.pin(id(9), tenant: tenant) }
        #expect(throws: PinError.unknown) { try store.pin(id(1), tenant: "other") }
        #expect(try store.pin(id(1), tenant: tenant))
        #expect(try !store.pin(id(1), tenant: tenant))
        #expect(store.pins(tenant: tenant).map(\.traceID) == [id(1)] && store.pins(tenant: "other").isEmpty)
        fixture.disk = fixture.disk.crash(.powerLoss)
        store = try fixture.open()
        #expect(store.pins(tenant: tenant).map(\.traceID) == [id(1)])
        store.sealNow()
        fixture.clock.advance(seconds: 1_001)
        put(fixture, [1, 3], 20)
        store.applyRetention(now: fixture.clock.now)
        #expect(try ids(store) == [10, 11, 20, 21], "sorted first")
        #expect(store.compactStep())
        store.applyRetention(now: fixture.clock.now)
        #expect(try ids(store) == [10, 20, 21] && store.ledgerTerms.expired == 1 && store.ledgerTerms.balanced)
        fixture.disk = fixture.disk.crash(.powerLoss)
        store = try fixture.open()
        store.setRetention(RetentionPolicy(age: 1_000 * Self.second, bytes: 1))
        fixture.clock.advance(seconds: 900)
        store.applyRetention(now: fixture.clock.now)
        #expect(try ids(store) == [10, 20, 21])
        #expect(try store.unpin(id(1), tenant: tenant))
        #expect(try !store.unpin(id(1), tenant: tenant))
        while store.compactStep() {}
        store.applyRetention(now: fixture.clock.now)
        #expect(try !ids(store).contains(10) && store.pins(tenant: tenant).isEmpty && store.ledgerTerms.balanced)
    }

    @Test func withoutCompactionAPinnedSegmentStays() throws {
        let fixture = fixture { $0.compaction.isOn = false }
        let store = try fixture.open()
        store.applyRetention(now: fixture.clock.now)
        put(fixture, [1, 2], 10)
        store.sealNow()
        put(fixture, [3], 20)
        store.sealNow()
        try store.pin(id(2), tenant: tenant)
        fixture.clock.advance(seconds: 2_000)
        store.applyRetention(now: fixture.clock.now)
        #expect(try ids(store) == [10, 11])
    }

    @Test func aDeletionTakesThePinWithIt() throws {
        let fixture = fixture()
        let store = try fixture.open()
        put(fixture, [1, 2], 10)
        store.sealNow()
        try store.pin(id(1), tenant: tenant)
        #expect(try store.delete([id(1)], tenant: tenant) == 1)
        #expect(store.pins(tenant: tenant).isEmpty)
        while store.compactStep() {}
        #expect(try ids(store) == [11] && store.ledgerTerms.deleted == 1)
        fixture.disk = fixture.disk.crash(.powerLoss)
        #expect(try fixture.open().pins(tenant: tenant).isEmpty)
    }

    @Test func refusalsSayWhyAndChangeNothing() throws {
        let fixture = fixture { $0.retention.classes = [.pinned: ClassBudget(bytes: 1)] }
        let store = try fixture.open()
        put(fixture, [1, 2], 10)
        store.sealNow()
        fixture.disk.change { $0.failing = [.create: 28] }
        #expect(throws: PinError.self) { try store.pin(id(1), tenant: tenant) }
        #expect(store.pins(tenant: tenant).isEmpty)
        fixture.disk.change { $0.failing = [:] }
        try store.pin(id(1), tenant: tenant)
        put(fixture, [3], 20)
        store.sealNow()
        while store.compactStep() {}
        do {
            try store.pin(id(2), tenant: tenant)
            Issue.record("taken")
        } catch PinError.full(_, let limit) { #expect(limit == 1) } catch { Issue.record("\(error)") }
        #expect(try ids(store) == [10, 11, 20], "what is pinned stays")
    }

    @Test func tooManyPinsAreRefused() throws {
        let disk = SimulatedDisk()
        let fixture = StoreFixture(disk: disk)
        _ = try fixture.open().close()
        let storeID = Array(try #require(disk.bytes(of: "META"))[24..<40])
        var pins = Pins()
        for low in 1...UInt64(Pins.limit) { pins.marks[Pins.Key(tenant: "t", traceID: id(low))] = low }
        let again = StoreFixture(disk: disk.crash(.kill))
        again.disk.set("PINS", to: pins.encoded(storeID: storeID))
        let store = try again.open()
        #expect(store.pins(tenant: "t").count == Pins.limit && store.pins(tenant: "t").first?.traceID == id(10_000))
        put(again, [1], 10)
        #expect(throws: PinError.tooMany(limit: Pins.limit)) { try store.pin(id(1), tenant: tenant) }
    }

    @Test func everyChangedByteOfTheFileIsSeenAndPinnedSegmentsTellAgain() throws {
        let fixture = fixture()
        let store = try fixture.open()
        put(fixture, [1, 2], 10)
        store.sealNow()
        put(fixture, [2, 3], 20)
        store.sealNow()
        try store.pin(id(2), tenant: tenant)
        try store.pin(id(3), tenant: tenant)
        while store.compactStep() {}
        let bytes = try #require(fixture.disk.bytes(of: "PINS"))
        let storeID = Array(try #require(fixture.disk.bytes(of: "META"))[24..<40])
        #expect(try Pins.decode(bytes, storeID: storeID)?.marks.count == 2)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x10
            let found = try? Pins.decode(changed, storeID: storeID)
            #expect(found == nil || found == .some(nil), "byte \(index)")
            let cut = try? Pins.decode(Array(bytes[..<index]), storeID: storeID)
            #expect(cut == nil || cut == .some(nil), "cut at \(index)")
        }
        for isMissing in [false, true] {
            let copy = StoreFixture(disk: fixture.disk.crash(.kill), fixture.change)
            if isMissing { copy.disk.erase("PINS") } else { copy.disk.set("PINS", to: Array(bytes.dropLast())) }
            let again = try copy.open()
            if case .degraded = again.state {} else { Issue.record("\(again.state)") }
            #expect(Set(again.pins(tenant: tenant).map(\.traceID)) == [id(2), id(3)])
        }
    }

    @Test func snapshotsHaveThePins() throws {
        let fixture = fixture()
        let store = try fixture.open()
        put(fixture, [1, 2], 10)
        try store.pin(id(1), tenant: tenant)
        let made = try store.snapshot()
        let copy = StoreFixture()
        _ = try SnapshotRestore(from: SnapshotTests.folder(made.id, of: fixture.disk), to: copy.disk).run()
        #expect(try copy.open().pins(tenant: tenant).map(\.traceID) == [id(1)])
    }

    @Test func mergesOfOneClassAreWholeOrNotThereWithoutAManifest() throws {
        let fixture = fixture { $0.retention.classes = [.error: ClassBudget(age: .max)] }
        let store = try fixture.open()
        for round in 0..<2 as Range<UInt64> {
            put(fixture, [1, 2, 3, 4, 5, 6, 7, 8], 10 + round * 10)
            store.sealNow()
        }
        try store.pin(id(8), tenant: tenant)
        let before = try ids(store)
        let inputs = fixture.disk.paths.filter { $0.hasPrefix("segments/") }.map { ($0, fixture.disk.bytes(of: $0)) }
        #expect(store.compactStep())
        let outputs = fixture.disk.paths.filter { $0.hasPrefix("segments/") }
        #expect(outputs.count > 1)
        for lacking in outputs {
            let copy = StoreFixture(disk: fixture.disk.crash(.kill), fixture.change)
            for (path, bytes) in inputs { copy.disk.set(path, to: bytes ?? []) }
            copy.disk.erase(lacking)
            copy.disk.erase("MANIFEST")
            let again = try copy.open()
            #expect(try ids(again) == before && again.ledgerTerms.live == 16, "without \(lacking)")
        }
        let whole = StoreFixture(disk: fixture.disk.crash(.kill), fixture.change)
        for (path, bytes) in inputs { whole.disk.set(path, to: bytes ?? []) }
        whole.disk.erase("MANIFEST")
        let again = try whole.open()
        #expect(try ids(again) == before && again.ledgerTerms.live == 16)
        #expect(whole.disk.paths.filter { $0.hasPrefix("segments/") } == outputs)
    }
}
