internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Verification finds every flipped bit and says where it is.
struct VerificationTests {
    /// A directory with two segments, a snapshot and spans in the WAL, as a kill leaves it.
    private func directory() throws -> SimulatedDisk {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 8)
        let store = try fixture.open()
        for _ in 0..<2 {
            fixture.commit([spans.batch(30)])
            store.sealNow()
        }
        _ = try store.snapshot()
        for _ in 0..<3 {
            fixture.commit([spans.batch(4)])
            store.witnessStep()
        }
        return fixture.disk.crash(.kill)
    }

    @Test func aWholeDirectoryIsWhole() throws {
        let disk = try directory()
        let found = try StoreVerification(disk)
        #expect(found.isWhole && found.findings.isEmpty, "\(found.findings)")
        #expect(found.segments.map(\.summary.spanCount) == [30, 30] && found.walSpans == 12)
        let id = try #require(disk.paths.first { $0.hasSuffix("SNAPSHOT") }?.split(separator: "/")[1])
        let snapshot = try StoreVerification(SnapshotTests.folder(String(id), of: disk))
        #expect(snapshot.isWhole && snapshot.segments.count == 2)
        #expect(try SegmentFacts.list(disk).segments == found.segments)
    }

    @Test func everyFlipIsFoundWhereItIs() throws {
        let disk = try directory()
        for path in disk.paths where path != "LOCK" && !path.hasPrefix("snapshots/") {
            let bytes = disk.bytes(of: path) ?? []
            // The last group has no later witness.
            let range = path.hasPrefix("wal/") ? 0..<max(128, bytes.count - 72) : 0..<bytes.count
            for offset in stride(from: range.lowerBound, to: range.upperBound, by: max(1, range.count / 150)) {
                var flipped = bytes
                flipped[offset] ^= 1 << UInt8(offset % 8)
                let damaged = disk.crash(.kill)
                damaged.set(path, to: flipped)
                let found = try StoreVerification(damaged)
                let hit = found.findings.contains {
                    $0.isDamage && $0.file == path && $0.bytes.map { $0.contains(UInt64(offset)) } != false
                }
                #expect(hit && !found.isWhole, "\(path) at \(offset): \(found.findings)")
                let others = found.findings.filter { $0.file != path }
                #expect(others.isEmpty, "\(path) at \(offset): \(others)")
            }
        }
    }

    @Test func aMissingFileIsFoundAndATornEndIsNoDamage() throws {
        for path in try directory().paths where path.hasPrefix("segments/") || path == "META" || path == "MANIFEST" {
            let disk = try directory()
            disk.erase(path)
            let found = try StoreVerification(disk)
            #expect(!found.isWhole && found.findings.contains { $0.file == path }, "\(path)")
        }
        let disk = try directory()
        let path = try #require(disk.paths.last { $0.hasPrefix("wal/") })
        disk.set(path, to: Array((disk.bytes(of: path) ?? []).dropLast(20)))
        let found = try StoreVerification(disk)
        #expect(found.isWhole && found.findings.count == 1, "\(found.findings)")
        #expect(found.findings.first?.description.contains("torn end") == true)
    }
}
