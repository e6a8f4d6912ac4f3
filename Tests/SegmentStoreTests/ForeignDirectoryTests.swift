internal import Foundation
internal import HostIO
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Directories that hold more than ours, and file systems that take nothing any more.
struct ForeignDirectoryTests {
    @Test func foreignFilesAreLeftAlone() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 1)
        let store = try fixture.open()
        fixture.commit([spans.batch(5)])
        store.sealNow()
        fixture.commit([spans.batch(3)])
        let foreign = [
            "notes.txt", "segments/lost+found", "segments/1.L0.seg", "wal/00000000000000000001.wal.bak",
            "wal/" + String(repeating: "x", count: 200), "MANIFEST.old",
        ]
        for path in foreign { fixture.disk.set(path, to: Array(path.utf8)) }
        fixture.disk = fixture.disk.crash(.kill)
        let again = try fixture.open()
        #expect(again.state == .ok && again.ledgerTerms.balanced)
        #expect(try fixture.missing().isEmpty)
        for path in foreign { #expect(fixture.disk.bytes(of: path) == Array(path.utf8), "\(path)") }
    }

    @Test func linksInTheRealDirectoryAreNotFollowed() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "crest-link-\(UUID().uuidString)")
        let target = folder.appendingPathExtension("target")
        defer {
            try? FileManager.default.removeItem(at: folder)
            try? FileManager.default.removeItem(at: target)
        }
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 2)
        fixture.store = try SegmentStore.open(try HostDisk(folder.path), configuration: fixture.configuration)
        fixture.commit([spans.batch(5)])
        #expect(fixture.store?.close() == true)
        try Data("secret".utf8).write(to: target)
        let slot = StorePath.segment(first: 900, last: 900, id: 900, level: 0)
        try FileManager.default.createSymbolicLink(at: folder.appending(path: slot), withDestinationURL: target)
        fixture.store = try SegmentStore.open(try HostDisk(folder.path), configuration: fixture.configuration)
        #expect(fixture.store?.state == .ok)
        #expect(try fixture.missing().isEmpty)
        #expect(throws: DiskError.self) { _ = try HostDisk(folder.path).open(slot) }
        #expect(try String(contentsOf: target, encoding: .utf8) == "secret")
        fixture.store?.close()
    }

    @Test func aFileSystemThatTurnsReadOnlyIsReadAndUsedAgain() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 3)
        let store = try fixture.open()
        fixture.commit([spans.batch(5)])
        store.sealNow()
        fixture.commit([spans.batch(4)])
        let changing: [DiskCall] = [
            .create, .append, .rename, .remove, .link, .makeDirectory, .preallocate, .removeDirectory,
        ]
        fixture.disk.change { $0.failing = Dictionary(uniqueKeysWithValues: changing.map { ($0, 30) }) }
        fixture.commit([spans.batch(2)])
        #expect(fixture.refusals.count == 1)
        guard case .readOnly = store.state else {
            Issue.record("\(store.state)")
            return
        }
        store.idleStep()
        store.sealStep()
        store.compactStep()
        store.applyRetention(now: fixture.clock.now)
        #expect(try fixture.missing().isEmpty)
        fixture.disk.change { $0.failing = [:] }
        store.idleStep()
        while store.sealStep() {}
        #expect(store.state == .ok)
        fixture.commit([spans.batch(2)])
        #expect(fixture.refusals.count == 1 && store.ledgerTerms.balanced)
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(try fixture.missing().isEmpty)
        #expect(again.ledgerTerms.balanced && again.ledgerTerms.lost == 0)
    }
}
