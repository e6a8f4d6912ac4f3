internal import Foundation
internal import Glibc
internal import HostIO
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// A directory of very many segments: opened within a second, with few descriptors.
struct ManySegmentsTests {
    private static let storeID = [UInt8](repeating: 7, count: 16)

    /// Files of a closed store with `count` segments of two spans each, by name; and one span of each.
    private func files(_ count: Int) throws -> (files: [String: [UInt8]], samples: [SpanRecord]) {
        var spans = SpanGenerator(seed: 1)
        var manifest = Manifest(storeID: Self.storeID)
        var files: [String: [UInt8]] = [:]
        var samples: [SpanRecord] = []
        let encoder = SegmentEncoder(compressionLevel: 1)
        for number in 1...UInt64(count) {
            let batch = spans.batch(2)
            samples.append(batch.record(0))
            let identity = SegmentIdentity(
                id: number, level: 0, firstSequence: number, lastSequence: number, storeID: Self.storeID, replaces: [])
            var bytes: [UInt8] = []
            let summary = try encoder.encode([batch], identity: identity) { bytes += $0 }
            let path = StorePath.segment(first: number, last: number, id: number, level: 0)
            files[path] = bytes
            manifest.segments.append(
                ManifestSegment(
                    id: number, firstSequence: number, lastSequence: number, spanCount: summary.spanCount,
                    byteCount: UInt64(bytes.count), latestArrival: summary.latestArrival, level: 0))
        }
        manifest.closedInOrder = true
        manifest.nextSegmentID = UInt64(count) + 1
        manifest.sealedSequence = UInt64(count)
        manifest.stored = manifest.liveSpans
        files[StorePath.manifest] = manifest.encoded()
        files[StorePath.meta] = StoreMeta(storeID: Self.storeID, created: 1).encoded()
        return (files, samples)
    }

    /// Without a sync, unlike Foundation's.
    private static func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    private func check(_ store: SegmentStore, _ samples: [SpanRecord], limit: Int) throws {
        #expect(store.state == .ok && store.ledgerTerms.segmentCount == samples.count)
        #expect(store.ledgerTerms.balanced && store.ledgerTerms.live == UInt64(2 * samples.count))
        #expect(store.openSegmentCount <= limit)
        let parts = store.parts()
        for sample in stride(from: 0, to: samples.count, by: max(1, samples.count / 50)).map({ samples[$0] }) {
            let found = try parts.flatMap {
                try $0.spans(of: sample.traceID, tenant: BatchOrigin.defaultTenant, budget: QueryBudget())
            }
            #expect(found.contains(sample))
        }
        #expect(store.openSegmentCount <= limit)
    }

    @Test func tenThousandSegmentsOpenWithinSecondsAndFewDescriptors() throws {
        let (files, samples) = try files(10_000)
        let fixture = StoreFixture { $0.openSegments = 64 }
        for (path, bytes) in files { fixture.disk.set(path, to: bytes) }
        let clock = ContinuousClock()
        let began = clock.now
        let store = try fixture.open()
        let elapsed = clock.now - began
        print("10,000 segments on the simulated disk: opened in \(elapsed)")
        #expect(elapsed < .seconds(10))
        try check(store, samples, limit: 64)
    }

    @Test func manySegmentsOnTheRealDisk() throws {
        let (files, samples) = try files(StoreCrashTests.isFull ? 10_000 : 1_000)
        let folder = FileManager.default.temporaryDirectory.appending(path: "crest-many-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["segments", "wal"] {
            try FileManager.default.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true)
        }
        for (path, bytes) in files { Self.write(bytes, to: folder.appending(path: path).path) }
        let fixture = StoreFixture { $0.openSegments = 64 }
        let resident = HostProcess.residentBytes
        let clock = ContinuousClock()
        let began = clock.now
        let store = try SegmentStore.open(try HostDisk(folder.path), configuration: fixture.configuration)
        let elapsed = clock.now - began
        let grown = Int64(HostProcess.residentBytes) - Int64(resident)
        print("\(samples.count) segments on the real disk: opened in \(elapsed), \(grown / 1_024) KiB more resident")
        try check(store, samples, limit: 64)
        #expect(store.close())
    }

    @Test func whoHoldsAPartReadsItAfterItsFileIsGone() throws {
        let fixture = StoreFixture {
            $0.openSegments = 1
            $0.compaction.fanIn = 4
            $0.retention = RetentionPolicy(bytes: .max)
        }
        var spans = SpanGenerator(seed: 2)
        let store = try fixture.open()
        for _ in 0..<4 {
            fixture.commit([spans.batch(6)])
            store.sealNow()
        }
        let merged = store.parts()
        #expect(store.compactStep())
        let expired = store.parts()
        store.setRetention(RetentionPolicy(bytes: 0))
        store.applyRetention(now: fixture.clock.now)
        #expect(store.ledgerTerms.segmentCount == 0 && fixture.disk.paths.allSatisfy { !$0.hasPrefix("segments/") })
        for parts in [merged, expired] {
            var found: [SpanRecord] = []
            for part in parts {
                for extent in try part.extents(matching: SpanFilter(), budget: QueryBudget()) {
                    found += try part.spans(
                        of: extent.traceID, tenant: BatchOrigin.defaultTenant, budget: QueryBudget())
                }
            }
            #expect(Set(found) == Set(fixture.acknowledged.values.flatMap { $0 }))
        }
        #expect(store.openSegmentCount <= 1)
    }

    @Test func withoutADescriptorLeftTheKeptOnesAreClosed() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 3)
        let store = try fixture.open()
        for _ in 0..<3 {
            fixture.commit([spans.batch(6)])
            store.sealNow()
        }
        #expect(store.openSegmentCount == 3 && store.close())
        let again = StoreFixture(disk: fixture.disk.crash(.kill)) { $0.openSegments = 2 }
        again.acknowledged = fixture.acknowledged
        let reopened = try again.open()
        #expect(reopened.openSegmentCount == 2)
        // The newest segment is read first, and was closed for the oldest one: its opening meets EMFILE once.
        #expect(try again.missing().isEmpty)
        let next = again.disk.callCount + 1
        again.disk.change { $0.failures = [next: 24] }
        #expect(try again.missing().isEmpty)
        #expect(reopened.openSegmentCount <= 2)
    }
}
