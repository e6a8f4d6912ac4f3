internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Cuts and flips every byte of a WAL file: nothing traps, what is whole is found, what is missing is counted.
struct WALDamageTests {
    /// Four groups of one to three records with a witness behind each but the last; no seal.
    private func directory() throws -> (disk: SimulatedDisk, fixture: StoreFixture, path: String) {
        let fixture = StoreFixture { $0.headBytes = 1 << 30 }
        var spans = SpanGenerator(seed: 11)
        let store = try fixture.open()
        for step in 0..<4 {
            fixture.commit((0...step % 3).map { _ in spans.batch(1, arrival: 5) })
            if step < 3 { store.witnessStep() }
        }
        let path = try #require(fixture.disk.paths.first { $0.hasSuffix(".wal") })
        return (fixture.disk.crash(.kill), fixture, path)
    }

    private func open(_ disk: SimulatedDisk, _ fixture: StoreFixture) throws -> (SegmentStore, found: Int) {
        let store = try SegmentStore.open(disk, configuration: fixture.configuration)
        #expect(store.ledgerTerms.balanced, "\(store.ledgerTerms)")
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
        #expect(Set(found).isSubset(of: Set(fixture.acknowledged[BatchOrigin.defaultTenant] ?? [])))
        #expect(UInt64(found.count) == store.ledgerTerms.live)
        return (store, found.count)
    }

    @Test func everyFlippedByteIsFoundAndCostsAtMostItsRecord() throws {
        let (disk, fixture, path) = try directory()
        let whole = try #require(disk.bytes(of: path))
        let all = fixture.acknowledged[BatchOrigin.defaultTenant]?.count ?? 0
        // The last group has no witness: its end is the last group header.
        for offset in whole.indices {
            var bytes = whole
            bytes[offset] ^= UInt8(1 << (offset % 8))
            let damaged = disk.crash(.kill)
            damaged.set(path, to: bytes)
            let (store, found) = try open(damaged, fixture)
            let terms = store.ledgerTerms
            if terms.live + terms.lost < UInt64(all) {
                #expect(store.recovery.tornBytes > 0, "byte \(offset): spans gone without a word")
                #expect(offset > whole.count / 2, "byte \(offset): only the group without a witness may be torn")
            }
            #expect(all - found <= 1 || terms.lost == 0, "byte \(offset): \(all - found) spans gone")
            if terms.lost > 0 { #expect(store.state != .ok && !store.recovery.quarantined.isEmpty) }
            if offset < 128 { #expect(found == all, "byte \(offset): one header copy is enough") }
        }
    }

    @Test func everyCutLeavesWhatIsBeforeIt() throws {
        let (disk, fixture, path) = try directory()
        let whole = try #require(disk.bytes(of: path))
        var last = 0
        for count in whole.indices {
            let cut = disk.crash(.kill)
            cut.set(path, to: Array(whole[..<count]))
            let (store, found) = try open(cut, fixture)
            #expect(found >= last, "cut at \(count)")
            #expect(store.ledgerTerms.lost == 0, "cut at \(count): no later byte says that more was there")
            last = found
        }
    }

    @Test func everySectorZeroed() throws {
        let (disk, fixture, path) = try directory()
        let whole = try #require(disk.bytes(of: path))
        for start in stride(from: 0, to: whole.count, by: 512) {
            var bytes = whole
            for index in start..<min(start + 512, whole.count) { bytes[index] = 0 }
            let damaged = disk.crash(.kill)
            damaged.set(path, to: bytes)
            _ = try open(damaged, fixture)
        }
    }

    @Test func everyFlipOfManifestAndMeta() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 4)
        let store = try fixture.open()
        for _ in 0..<3 {
            fixture.commit([spans.batch(20, arrival: 5)])
            store.sealNow()
        }
        fixture.commit([spans.batch(3, arrival: 5)])
        let all = fixture.acknowledged[BatchOrigin.defaultTenant]?.count ?? 0
        let disk = fixture.disk.crash(.kill)
        for path in ["MANIFEST", "META"] {
            let whole = try #require(disk.bytes(of: path))
            for offset in whole.indices {
                var bytes = whole
                bytes[offset] ^= UInt8(1 << (offset % 8))
                let damaged = disk.crash(.kill)
                damaged.set(path, to: bytes)
                let (store, found) = try open(damaged, fixture)
                #expect(found == all, "\(path) byte \(offset)")
                #expect(store.ledgerTerms.lost == 0, "\(path) byte \(offset)")
                #expect(store.state != .ok, "\(path) byte \(offset): damage is said")
            }
            let damaged = disk.crash(.kill)
            damaged.erase(path)
            #expect(try open(damaged, fixture).found == all)
        }
    }

    @Test func aMissingMiddleFileIsCountedExactly() throws {
        let fixture = StoreFixture { $0.headBytes = 1 << 30 }
        var spans = SpanGenerator(seed: 6)
        var counts: [Int] = []
        // Every start makes a new file; the middle one goes missing.
        for _ in 0..<3 {
            try fixture.open()
            fixture.commit([spans.batch(7), spans.batch(2)])
            counts.append(9)
            fixture.disk = fixture.disk.crash(.kill)
        }
        let middle = fixture.disk.paths.filter { $0.hasSuffix(".wal") }[1]
        fixture.disk.erase(middle)
        let store = try fixture.open()
        #expect(store.ledgerTerms.lost == 9)
        #expect(store.ledgerTerms.live == 18)
        #expect(store.ledgerTerms.balanced)
        #expect(store.recovery.losses == [Loss(firstSequence: 3, lastSequence: 4, spans: 9)])
        store.sealNow()
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(again.ledgerTerms.lost == 9)
        #expect(again.ledgerTerms.balanced)
    }
}
