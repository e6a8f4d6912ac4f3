import SegmentStore
import Telemetry
import Testing

/// What came in comes out: records equal, in the order of the file.
struct SegmentRoundTripTests {
    /// What a reader must give back: by tenant, trace id, start, and arrival in the store.
    static func expected(_ batches: [SpanBatch]) -> [(tenant: String, span: SpanRecord)] {
        var all: [(tenant: String, span: SpanRecord, ordinal: Int)] = []
        for batch in batches {
            for index in batch.spans.indices {
                all.append((batch.origin.tenant, batch.record(index), all.count))
            }
        }
        all.sort { left, right in
            if left.tenant != right.tenant { return left.tenant < right.tenant }
            if left.span.traceID != right.span.traceID { return left.span.traceID < right.span.traceID }
            if left.span.start != right.span.start { return left.span.start < right.span.start }
            return left.ordinal < right.ordinal
        }
        return all.map { ($0.tenant, $0.span) }
    }

    static func expectSame(_ batches: [SpanBatch], blockSpans: Int, _ seed: UInt64) throws {
        let (bytes, summary) = segmentBytes(batches, blockSpans: blockSpans)
        let reader = try openSegment(bytes)
        try reader.verify()
        let expected = expected(batches)
        let actual = try allRecords(reader)
        try #require(actual.count == expected.count, "seed \(seed)")
        for (left, right) in zip(actual, expected) {
            try #require(left.tenant == right.tenant, "seed \(seed)")
            try #require(left.span == right.span, "seed \(seed), blocks of \(blockSpans)")
        }
        #expect(summary == reader.summary)
        #expect(summary.spanCount == UInt64(expected.count))
        #expect(summary.byteCount == UInt64(bytes.count))
        #expect(summary.earliestStart == expected.map(\.span.start).min() ?? 0)
        #expect(summary.latestStart == expected.map(\.span.start).max() ?? 0)
        #expect(summary.earliestArrival == expected.map(\.span.arrival).min() ?? 0)
        #expect(summary.latestArrival == expected.map(\.span.arrival).max() ?? 0)
    }

    @Test(arguments: UInt64(1)...40)
    func randomSpans(seed: UInt64) throws {
        var source = SegmentRandomSpans(seed: seed)
        source.traceCount = [1, 3, 30, 200][Int(seed % 4)]
        source.keyCount = seed % 5 == 0 ? 3_000 : 12
        let tenants = seed % 3 == 0 ? ["default", "a", "b"] : ["default"]
        let batches = source.batches(1 + Int(seed % 7), spans: 60, tenants: tenants)
        for blockSpans in [8_192, 50, 7, 1] { try Self.expectSame(batches, blockSpans: blockSpans, seed) }
    }

    @Test func nothing() throws {
        try Self.expectSame([], blockSpans: 8, 0)
        let empty = SpanBatch(origin: BatchOrigin(arrival: 5), records: [])
        try Self.expectSame([empty], blockSpans: 8, 0)
        let reader = try openSegment(segmentBytes([empty]).bytes)
        #expect(reader.starts == 0...0)
        #expect(reader.spanCount == 0)
    }

    private static func span(trace: UInt64, id: UInt64) -> SpanRecord {
        SpanRecord(traceID: TraceID(high: 0, low: trace), spanID: SpanID(id), name: "n", start: 1, end: 2)
    }

    private static func value(_ key: Int) -> AttributeValue {
        switch key % 8 {
        case 0: .empty
        case 1: .string("v\(key)")
        case 2: .bool(true)
        case 3: .int(-5)
        case 4: .double(2.5)
        case 5: .bytes([1, 2])
        case 6: .array([.int(1)])
        default: .map([Attribute("x", .empty)])
        }
    }

    @Test func manyKeysShareAColumn() throws {
        var records: [SpanRecord] = []
        for span in 0..<30 {
            var record = Self.span(trace: UInt64(span / 3 + 1), id: UInt64(span + 1))
            record.attributes = (0..<100).map { key in Attribute("k\(span).\(key)", Self.value(key)) }
            records.append(record)
        }
        let batch = SpanBatch(origin: BatchOrigin(arrival: 9), records: records)
        try Self.expectSame([batch], blockSpans: 8_192, 0)
        let reader = try openSegment(segmentBytes([batch]).bytes)
        var filter = SpanFilter()
        filter.tags = [SpanFilter.Tag("k29.97", "v97")]
        let found = try reader.extents(matching: filter, budget: QueryBudget())
        #expect(found.map { $0.traceID.low } == [10])
    }

    @Test func longStringsCloseBlocks() throws {
        let text = String(repeating: "x", count: 200_000)
        var records: [SpanRecord] = []
        for span in UInt64(0)..<100 {
            var record = Self.span(trace: 7, id: span + 1)
            record.parentID = span == 0 ? nil : SpanID(span)
            record.start = span
            record.attributes = [Attribute("text", .string(String(span) + text))]
            records.append(record)
        }
        let batch = SpanBatch(origin: BatchOrigin(arrival: 9), records: records)
        try Self.expectSame([batch], blockSpans: 8_192, 0)
        let reader = try openSegment(segmentBytes([batch]).bytes)
        #expect(reader.blockCount > 3)
        let id = TraceID(high: 0, low: 7)
        let extent = try reader.extent(of: id, tenant: "default")
        #expect(extent == TraceExtent(traceID: id, start: 0, end: 2))
        #expect(try reader.extents(matching: SpanFilter(), budget: QueryBudget()) == [extent])
        #expect(try reader.spans(of: id, tenant: "default", budget: QueryBudget()).count == 100)
    }

    @Test func sameInputMakesSameBytes() {
        var source = SegmentRandomSpans(seed: 77)
        let batches = source.batches(3, spans: 50)
        #expect(segmentBytes(batches).bytes == segmentBytes(batches).bytes)
    }

    @Test func identityComesBack() throws {
        let identity = SegmentIdentity(
            id: 77, level: 3, firstSequence: 5, lastSequence: 9, storeID: Array(1...16), replaces: [1, 2, 3])
        let bytes = segmentBytes([], identity: identity).bytes
        #expect(try openSegment(bytes).identity == identity)
    }
}
