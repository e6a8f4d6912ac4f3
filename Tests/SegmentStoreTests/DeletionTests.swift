internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// What is deleted is hidden at once, stays hidden after every kind of stop, and goes away at the next compaction.
struct DeletionTests {
    private let tenant = BatchOrigin.defaultTenant

    private func record(_ trace: UInt64, _ span: UInt64) -> SpanRecord {
        var generator = SpanGenerator(seed: span)
        var record = generator.span()
        record.traceID = TraceID(high: 0, low: trace)
        record.spanID = SpanID(span)
        return record
    }

    private func batch(_ traces: [UInt64], _ first: UInt64, tenant: String = BatchOrigin.defaultTenant) -> SpanBatch {
        let records = traces.enumerated().map { record($1, first + UInt64($0)) }
        return SpanBatch(origin: BatchOrigin(tenant: tenant, arrival: first), records: records)
    }

    private func id(_ low: UInt64) -> TraceID { TraceID(high: 0, low: low) }

    private func ids(_ store: SegmentStore) throws -> Set<UInt64> {
        Set(try StoreFixture.spans(of: store, tenant: tenant).map(\.spanID.value))
    }

    private func fixture(_ change: @escaping (inout StoreConfiguration) -> Void = { _ in }) -> StoreFixture {
        StoreFixture { configuration in
            configuration.compaction.fanIn = 2
            configuration.compaction.deletionDelay = 0
            change(&configuration)
        }
    }

    @Test func hiddenAtOnceInHeadAndSegmentButNotWhatComesLater() throws {
        let fixture = fixture()
        let store = try fixture.open()
        fixture.commit([batch([1, 2], 10), batch([1], 30, tenant: "other")])
        store.sealNow()
        fixture.commit([batch([1, 3], 20)])
        #expect(try store.delete([id(1), id(9)], tenant: tenant) == 1)
        #expect(try ids(store) == [11, 21])
        #expect(try store.parts().allSatisfy { try $0.extent(of: id(1), tenant: tenant) == nil })
        #expect(try StoreFixture.spans(of: store, tenant: "other").count == 1, "the other tenant's trace stays")
        fixture.commit([batch([1, 4], 40)])
        #expect(try ids(store) == [11, 21, 40, 41], "a span that comes later is a new one")
        let extent = try #require(try store.parts()[0].extent(of: id(1), tenant: tenant))
        #expect(extent.start == record(1, 40).start)
        #expect(store.ledgerTerms.live == 7 && store.ledgerTerms.deleted == 0, "hidden spans are live until removed")
    }

    @Test func goneAfterSealAndCompactionAndTheTombstoneWithThem() throws {
        let fixture = fixture()
        let store = try fixture.open()
        fixture.commit([batch([1, 2], 10)])
        store.sealNow()
        fixture.commit([batch([1, 3], 20)])
        #expect(try store.delete([id(1)], tenant: tenant) == 1)
        fixture.commit([batch([1, 4], 40)])
        store.sealNow()
        #expect(store.ledgerTerms.deleted == 1 && store.ledgerTerms.live == 5 && store.ledgerTerms.balanced)
        #expect(try ids(store) == [11, 21, 40, 41])
        #expect(store.compactStep())
        #expect(store.ledgerTerms.deleted == 2 && store.ledgerTerms.live == 4 && store.ledgerTerms.balanced)
        #expect(try ids(store) == [11, 21, 40, 41])
        store.compactStep()
        let bytes = try #require(fixture.disk.bytes(of: "TOMBSTONES"))
        #expect(bytes.count == 44, "no tombstone is left")
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(try ids(again) == [11, 21, 40, 41] && again.ledgerTerms.deleted == 2 && again.ledgerTerms.balanced)
    }

    @Test func oneSegmentIsRewrittenWhenTheDelayIsOver() throws {
        let fixture = fixture { $0.compaction.deletionDelay = 60 * 1_000_000_000 }
        let store = try fixture.open()
        fixture.commit([batch([1, 2], 10)])
        store.sealNow()
        #expect(try store.delete([id(1)], tenant: tenant) == 1)
        #expect(!store.compactStep())
        fixture.clock.advance(seconds: 61)
        #expect(store.compactStep())
        #expect(store.ledgerTerms.deleted == 1 && store.ledgerTerms.live == 1 && store.ledgerTerms.balanced)
        #expect(fixture.disk.paths.filter { $0.hasPrefix("segments/") }.allSatisfy { $0.hasSuffix(".L0.seg") })
    }

    @Test func aSegmentOfWhichNothingIsLeftGoesAway() throws {
        let fixture = fixture()
        let store = try fixture.open()
        fixture.commit([batch([1, 1], 10)])
        store.sealNow()
        fixture.commit([batch([1], 20)])
        #expect(try store.delete([id(1)], tenant: tenant) == 1)
        #expect(store.compactStep())
        #expect(fixture.disk.paths.filter { $0.hasPrefix("segments/") }.isEmpty)
        store.sealNow()
        #expect(store.ledgerTerms.live == 0 && store.ledgerTerms.deleted == 3 && store.ledgerTerms.balanced)
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(again.ledgerTerms.deleted == 3 && again.ledgerTerms.balanced && again.state == .ok)
        #expect(try ids(again).isEmpty)
    }

    @Test func aDeletionThatCannotBeWrittenIsRefusedAndHidesNothing() throws {
        let fixture = fixture()
        let store = try fixture.open()
        fixture.commit([batch([1], 10)])
        fixture.disk.change { $0.failing = [.create: 28] }
        #expect(throws: DeletionError.self) { try store.delete([id(1)], tenant: tenant) }
        #expect(try ids(store) == [10])
        fixture.disk.change { $0.failing = [:] }
        #expect(try store.delete([id(1)], tenant: tenant) == 1)
        #expect(try ids(store).isEmpty)
    }

    @Test func everyChangedByteOfTheFileIsSeen() throws {
        let fixture = fixture()
        let store = try fixture.open()
        fixture.commit([batch([1, 2], 10)])
        _ = try store.delete([id(1), id(2)], tenant: tenant)
        let bytes = try #require(fixture.disk.bytes(of: "TOMBSTONES"))
        let header = try #require(fixture.disk.bytes(of: "META"))
        let storeID = Array(header[24..<40])
        #expect(try Tombstones.decode(bytes, storeID: storeID)?.marks.count == 2)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x10
            let found = try? Tombstones.decode(changed, storeID: storeID)
            #expect(found == nil || found == .some(nil), "byte \(index)")
            let cut = try? Tombstones.decode(Array(bytes[..<index]), storeID: storeID)
            #expect(cut == nil || cut == .some(nil), "cut at \(index)")
        }
        fixture.disk = fixture.disk.crash(.kill)
        fixture.disk.set("TOMBSTONES", to: Array(bytes.dropLast()))
        let again = try fixture.open()
        if case .degraded = again.state {} else { Issue.record("\(again.state)") }
        #expect(try ids(again) == [10, 11])
    }
}
