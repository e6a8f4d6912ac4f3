internal import Bytes
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// A merge moves columns. Its blocks are those that an encoder makes of all the spans at once, byte for byte.
struct MergeRunTests {
    /// Merges a segment of each batch and compares the blocks with those of one encoding.
    private func expectSameBlocks(
        _ batches: [SpanBatch], blockSpans: Int, _ comment: Comment, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let fixture = StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = batches.count
            configuration.compaction.blockSpans = blockSpans
        }
        let store = try fixture.open()
        for batch in batches {
            fixture.commit([batch])
            store.sealNow()
        }
        #expect(store.compactStep(), comment, sourceLocation: sourceLocation)
        let path = try #require(fixture.disk.paths.first { $0.hasSuffix(".L1.seg") }, comment)
        let file = try fixture.disk.open(path)
        let merged = blocks(try file.read(at: 0, count: Int(try file.size())))
        let expected = blocks(segmentBytes(batches, blockSpans: blockSpans).bytes)
        let difference = zip(merged, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        #expect(
            merged.count == expected.count && difference == nil,
            "\(comment): \(merged.count) and \(expected.count) bytes, first difference \(difference ?? -1)",
            sourceLocation: sourceLocation)
    }

    /// What lies between header and footer.
    private func blocks(_ segment: [UInt8]) -> ArraySlice<UInt8> {
        let trailer = segment.suffix(32)
        let footer = trailer.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        return segment[64..<footer]
    }

    private func batches(_ generator: inout SpanGenerator, _ counts: [Int]) -> [SpanBatch] {
        counts.enumerated().map { index, count in generator.batch(count, arrival: UInt64(index + 1)) }
    }

    @Test func blocksAreThoseOfOneEncoding() throws {
        for seed in 1...40 as ClosedRange<UInt64> {
            var generator = SpanGenerator(seed: seed)
            generator.traceCount = [1, 5, 40, 0][Int(seed % 4)]
            let counts = (0..<2 + Int(seed % 5)).map { _ in 1 + generator.random.below(120) }
            let batches = batches(&generator, counts)
            try expectSameBlocks(batches, blockSpans: [16, 100, 8_192][Int(seed % 3)], "seed \(seed)")
        }
    }

    @Test func familiesOfSpansKeepTheirParentsAndTies() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var generator = SpanGenerator(seed: seed)
            generator.traceCount = 6
            var spans = generator.spans(200)
            for index in spans.indices where generator.random.oneIn(2) {
                let other = spans[generator.random.below(spans.count)]
                spans[index].traceID = other.traceID
                spans[index].parentID = other.spanID
                // Equal starts are looked at one by one, for they may be repeats.
                if generator.random.oneIn(3) { spans[index].start = other.start }
            }
            let batches = stride(from: 0, to: spans.count, by: 70).map { first in
                SpanBatch(
                    origin: BatchOrigin(arrival: UInt64(first + 1)), records: Array(spans[first...].prefix(70)))
            }
            try expectSameBlocks(batches, blockSpans: [50, 8_192][Int(seed % 2)], "seed \(seed)")
        }
    }

    @Test func moreKeysThanColumnsGoByTheRow() throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            var generator = SpanGenerator(seed: seed)
            generator.traceCount = 30
            var number = 0
            let batches = (0..<3).map { index in
                let spans = generator.spans(80).map { span in
                    var span = span
                    // The first input alone fits; with the second there are too many columns, in the middle of a block.
                    for _ in 0..<8 {
                        span.attributes.append(Attribute("key.\(number)", .int(Int64(number))))
                        number += 1
                    }
                    return span
                }
                return SpanBatch(origin: BatchOrigin(arrival: UInt64(index + 1)), records: spans)
            }
            let fixture = StoreFixture { configuration in
                configuration.headBytes = 1 << 30
                configuration.compaction.fanIn = 3
            }
            let store = try fixture.open()
            for batch in batches {
                fixture.commit([batch])
                store.sealNow()
            }
            #expect(store.compactStep(), "seed \(seed)")
            let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
            let wanted = batches.flatMap { batch in batch.spans.indices.map { batch.record($0) } }
            #expect(Set(found) == Set(wanted) && found.count == wanted.count, "seed \(seed)")
        }
    }

    @Test func longTextsCloseABlockInTime() throws {
        var generator = SpanGenerator(seed: 4)
        generator.traceCount = 12
        let batches = (0..<3).map { index in
            let spans = generator.spans(100).map { span in
                var span = span
                let size = generator.random.below(60_000)
                let text = (0..<size / 8).map { _ in String(generator.random.below(90_000_000) + 10_000_000) }
                span.attributes.append(Attribute("text", .string(text.joined())))
                return span
            }
            return SpanBatch(origin: BatchOrigin(arrival: UInt64(index + 1)), records: spans)
        }
        try expectSameBlocks(batches, blockSpans: 8_192, "long texts")
    }

    @Test func repeatsWithinARunAreFound() throws {
        var generator = SpanGenerator(seed: 9)
        generator.traceCount = 4
        let spans = generator.spans(60)
        let fixture = StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = 2
        }
        let store = try fixture.open()
        // Repeats inside of one segment and across the two.
        for records in [spans + spans.prefix(20), Array(spans.suffix(30))] {
            fixture.commit([SpanBatch(origin: BatchOrigin(arrival: 1), records: records)])
            store.sealNow()
        }
        #expect(store.compactStep())
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
        #expect(found.count == 60 && Set(found.map(\.spanID)) == Set(spans.map(\.spanID)))
        #expect(store.ledgerTerms.merged == 50 && store.ledgerTerms.balanced)
    }
}
