internal import HostIO
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

#if canImport(Glibc)
    internal import Glibc
#endif

/// A snapshot is what was acknowledged at its moment; a restore of it is a store.
struct SnapshotTests {
    /// The folder of a snapshot as a disk of its own.
    static func folder(_ id: String, of disk: SimulatedDisk) -> SimulatedDisk {
        let folder = SimulatedDisk()
        let prefix = "snapshots/\(id)/"
        for path in disk.paths where path.hasPrefix(prefix) {
            folder.set(String(path.dropFirst(prefix.count)), to: disk.bytes(of: path) ?? [])
        }
        return folder
    }

    /// Restores into a fresh disk and opens that.
    static func restored(_ source: SimulatedDisk) throws -> (StoreFixture, SegmentStore) {
        let fixture = StoreFixture()
        _ = try SnapshotRestore(from: source, to: fixture.disk).run()
        return (fixture, try fixture.open())
    }

    @Test func holdsTheAcknowledgedPrefix() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        for _ in 0..<5 { fixture.commit([spans.batch(40), spans.batch(3, tenant: "other")]) }
        let before = fixture.acknowledged
        let made = try store.snapshot()
        #expect(made.id == "20231114T221320.000Z", "\(made.id)")
        fixture.commit([spans.batch(30)])
        store.sealNow()
        #expect(store.snapshots() == [made])
        #expect(made.snapshot.spans == 215 && made.snapshot.lastSequence == 10)
        let (copy, again) = try Self.restored(Self.folder(made.id, of: fixture.disk))
        copy.acknowledged = before
        #expect(try copy.missing().isEmpty)
        #expect(again.state == .ok && again.recovery.closedInOrder)
        #expect(again.ledgerTerms.live == 215 && again.ledgerTerms.balanced)
        copy.commit([spans.batch(2)])
        #expect(copy.receipts.map(\.sequence) == [11])
    }

    @Test func keepsWhatRetentionRemovesAndGoesWhenOld() throws {
        let day: UInt64 = 86_400 * 1_000_000_000
        let fixture = StoreFixture {
            $0.retention = RetentionPolicy(bytes: 1)
            $0.snapshotAge = 2 * day
        }
        var spans = SpanGenerator(seed: 2)
        let store = try fixture.open()
        fixture.commit([spans.batch(20)])
        let made = try store.snapshot()
        #expect(store.space.snapshotBytes == 0, "the store has the same segment")
        store.applyRetention(now: fixture.clock.now)
        #expect(store.ledgerTerms.live == 0 && store.ledgerTerms.expired == 20)
        #expect(store.space.snapshotBytes == made.snapshot.bytes && made.snapshot.bytes > 0)
        _ = try store.snapshot()
        #expect(store.space.snapshotBytes == made.snapshot.bytes, "an empty one holds nothing more")
        let (copy, _) = try Self.restored(Self.folder(made.id, of: fixture.disk))
        copy.acknowledged = fixture.acknowledged
        #expect(try copy.missing().isEmpty)
        for _ in 0..<47 {
            fixture.clock.advance(seconds: 3_600)
            store.applyRetention(now: fixture.clock.now)
        }
        #expect(store.snapshots().count == 2)
        store.applyRetention(now: 20_000 * day + 365 * day)
        #expect(store.snapshots().count == 2, "a step of the clock removes nothing")
        for _ in 0..<2 {
            fixture.clock.advance(seconds: 3_600)
            store.applyRetention(now: fixture.clock.now)
        }
        #expect(store.snapshots().isEmpty)
        #expect(!fixture.disk.paths.contains { $0.hasPrefix("snapshots/") })
        #expect(store.space.snapshotBytes == 0)
    }

    /// Stops at every disk call of a snapshot: it is then whole or none, and the store has lost nothing.
    @Test func everyCallOfASnapshot() throws {
        func prepared() throws -> (StoreFixture, SegmentStore) {
            let fixture = StoreFixture()
            var spans = SpanGenerator(seed: 3)
            let store = try fixture.open()
            for _ in 0..<3 { fixture.commit([spans.batch(40)]) }
            return (fixture, store)
        }
        let (whole, store) = try prepared()
        let first = whole.disk.callCount
        _ = try store.snapshot()
        let last = whole.disk.callCount
        for call in first + 1...last + 1 {
            for kind in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] as [SimulatedDisk.Crash] {
                let context = "call \(call - first) of \(last - first), \(kind)"
                let (fixture, store) = try prepared()
                fixture.disk.change { $0.crashAt = call }
                let made = try? store.snapshot()
                fixture.disk = fixture.disk.crash(kind)
                let again = try fixture.open()
                #expect(try fixture.missing().isEmpty, "\(context)")
                #expect(again.state == .ok && again.ledgerTerms.balanced, "\(context): \(again.recovery)")
                let found = again.snapshots()
                if let made { #expect(found == [made], "\(context): answered, so it is there") }
                for snapshot in found {
                    let (copy, opened) = try Self.restored(Self.folder(snapshot.id, of: fixture.disk))
                    copy.acknowledged = fixture.acknowledged
                    #expect(try copy.missing().isEmpty && opened.ledgerTerms.balanced, "\(context)")
                }
                again.applyRetention(now: fixture.clock.now)
                let rest = fixture.disk.paths.filter { $0.hasPrefix("snapshots/") }
                #expect(found.isEmpty == rest.isEmpty, "\(context): \(rest)")
            }
        }
    }

    @Test func aFullQueueOfHeadsIsSealedFirst() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 4)
        let store = try fixture.open()
        for _ in 0..<200 where fixture.refusals.isEmpty { fixture.commit([spans.batch(20)]) }
        let made = try store.snapshot()
        #expect(made.snapshot.spans == store.ledgerTerms.stored)
        #expect(store.ledgerTerms.headSpans == 0)
        fixture.disk.change { $0.failing = [.link: 5] }
        #expect(throws: SnapshotError.self) { try store.snapshot() }
        fixture.disk.change { $0.failing = [:] }
        fixture.clock.advance(seconds: 1)
        _ = try store.snapshot()
        #expect(store.snapshots().count == 2)
    }

    @Test func damageIsRefusedByRestore() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 5)
        let store = try fixture.open()
        fixture.commit([spans.batch(20)])
        let made = try store.snapshot()
        let whole = Self.folder(made.id, of: fixture.disk)
        for path in whole.paths {
            let bytes = whole.bytes(of: path) ?? []
            for offset in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 97)) {
                var flipped = bytes
                flipped[offset] ^= 4
                let damaged = Self.folder(made.id, of: fixture.disk)
                damaged.set(path, to: flipped)
                let target = SimulatedDisk()
                #expect(throws: RestoreError.self, "\(path) at \(offset)") {
                    try SnapshotRestore(from: damaged, to: target).run()
                }
                #expect(target.paths.isEmpty, "\(path) at \(offset) leaves nothing behind")
            }
        }
        let used = SimulatedDisk()
        used.set("META", to: [])
        #expect(throws: RestoreError.notEmpty) { try SnapshotRestore(from: whole, to: used).run() }
        #expect(throws: RestoreError.noSnapshot(missing: "SNAPSHOT")) {
            try SnapshotRestore(from: SimulatedDisk(), to: SimulatedDisk()).run()
        }
    }

    @Test func linksOnARealDisk() throws {
        var name = Array("/tmp/crest-snapshot-XXXXXX".utf8CString)
        let path = try #require(mkdtemp(&name).map { String(cString: $0) })
        defer { removeTree(path) }
        var configuration = StoreConfiguration(wallClock: SystemClock.now)
        configuration.runsThreads = false
        configuration.reservedBytes = 0
        let store = try SegmentStore.open(HostDisk(path + "/data"), configuration: configuration)
        var spans = SpanGenerator(seed: 6)
        store.append(spans.batch(50)) { _ in }
        while store.commitStep() {}
        let made = try store.snapshot()
        let again = try store.snapshot()
        #expect(made.id != again.id && store.close())
        let source = try HostDisk(existing: "\(path)/data/snapshots/\(made.id)")
        let target = try HostDisk(path + "/restored")
        let snapshot = try SnapshotRestore(
            from: source, to: target,
            link: { (file) throws(DiskError) in try target.link(file, of: source) }
        ).run()
        #expect(snapshot == made.snapshot && snapshot.spans == 50)
        let segment = try #require(target.list("segments").first?.name)
        var status = stat()
        #expect(stat("\(path)/restored/segments/\(segment)", &status) == 0 && status.st_nlink == 4)
        let restored = try SegmentStore.open(target, configuration: configuration)
        #expect(restored.ledgerTerms.live == 50 && restored.close())
    }
}

/// Removes a folder of a test and everything below it.
func removeTree(_ path: String) {
    guard let disk = try? HostDisk(existing: path) else { return }
    for entry in (try? disk.list("")) ?? [] {
        if entry.isRegularFile { try? disk.remove(entry.name) } else { removeTree("\(path)/\(entry.name)") }
    }
    rmdir(path)
}
