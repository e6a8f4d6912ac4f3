internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// What inspection says of each file, and that its floor is one.
struct InspectTests {
    @Test func everyFileOfADirectory() throws {
        let scene = try SalvageTests.scene(seed: 31)
        let facts = try DirectoryFacts(scene.disk, readsColumns: true)
        #expect(facts.unreadable.isEmpty && facts.meta != nil && facts.tombstones == nil)
        #expect(facts.segments.map(\.summary.spanCount) == [40, 40, 40])
        #expect(facts.manifest?.liveSpans == 120 && facts.manifest?.sealedSequence == 3)
        let wal = try #require(facts.wal.last)
        #expect(wal.spans == 21 && wal.records == 7 && wal.groups == 8 && wal.witnesses == 4 && wal.damages.isEmpty)
        #expect(wal.firstSequence == 4 && wal.lastSequence == 10)
        let segmentBytes = facts.segments.reduce(0) { $0 + $1.summary.byteCount }
        #expect(facts.columns.reduce(0) { $0 + $1.bytes } == Int(segmentBytes), "every byte belongs to a column")
        for path in scene.disk.paths where path != "LOCK" {
            let file = try FileFacts(path, scene.disk)
            switch (path, file) {
            case ("META", .meta), ("MANIFEST", .manifest): continue
            case (_, .segment(let found, let columns)):
                #expect(columns.reduce(0) { $0 + $1.bytes } == Int(found.summary.byteCount))
            case (_, .wal(let found)): #expect(path == found.path)
            default: Issue.record("\(path) is \(file)")
            }
        }
        #expect(throws: (any Error).self) { try FileFacts("LOCK", scene.disk) }
    }

    /// Spans of one shape with ids that nothing can compress: the floor of the ids is their bytes.
    @Test func theFloorOfRandomIDsIsTheirSize() throws {
        var source = SegmentRandom(5)
        let records = (0..<8_000).map { index in
            SpanRecord(
                traceID: TraceID(high: source.next(), low: source.next()), spanID: SpanID(source.next() | 1),
                name: ["a", "b"][index % 2], start: 1_000_000, end: 1_000_000 + UInt64(source.below(4)))
        }
        let batch = SpanBatch(origin: BatchOrigin(tenant: "default", arrival: 1), records: records)
        let columns = try openSegment(segmentBytes([batch]).bytes).columnFacts()
        func floor(_ name: String) throws -> Double {
            let column = columns.first { $0.name == name }
            return try #require(column?.floor) / 8_000
        }
        #expect((7.8...7.9).contains(try floor("span id")), "the lowest bit is always set")
        #expect((7.9...8.0).contains(try floor("trace id high")))
        #expect((0.12...0.13).contains(try floor("name")), "one bit")
        #expect((0.24...0.26).contains(try floor("duration")), "two bits")
        for column in columns {
            guard let floor = column.floor else { continue }
            #expect(floor >= 0 && floor <= Double(column.bytes) * 1.01 + 64, "\(column)")
        }
    }

    @Test(arguments: UInt64(1)...6)
    func everyColumnOfRandomSpansHasAFloor(seed: UInt64) throws {
        var source = SegmentRandomSpans(seed: seed)
        source.keyCount = seed % 3 == 0 ? 1_500 : 8
        let reader = try openSegment(segmentBytes(source.batches(3, spans: 300), blockSpans: 64).bytes)
        let columns = try reader.columnFacts()
        #expect(columns.map(\.bytes).reduce(0, +) == Int(reader.summary.byteCount))
        #expect(columns.filter { $0.floor == nil }.map(\.name) == ["footer"])
    }
}
