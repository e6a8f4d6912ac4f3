import Bytes
import SegmentStore
import Telemetry
import Testing

/// Bytes that pass the checksums and are wrong all the same must give errors or other spans, never a trap.
struct SegmentSalvageTests {
    /// Reads everything there is, in every way there is.
    static func readAll(_ bytes: [UInt8]) {
        guard let reader = try? SegmentReader(file: SegmentMemoryFile(bytes), name: "fuzz", checksColumns: false)
        else { return }
        var ids: [TraceID] = []
        for block in 0..<min(reader.blockCount, 20) {
            if let spans = try? reader.spans(inBlock: block) { ids += spans.prefix(2).map(\.traceID) }
        }
        for id in ids.prefix(4) {
            _ = try? reader.spans(of: id, tenant: "default", budget: QueryBudget())
            _ = try? reader.extent(of: id, tenant: "default")
        }
        for filter in filters { _ = try? reader.extents(matching: filter, budget: QueryBudget()) }
        _ = reader.operations(tenant: "default")
        _ = reader.columnReport()
    }

    private static let filters: [SpanFilter] = {
        var all = SpanFilter()
        all.service = "order"
        all.operation = "GET"
        all.earliestStart = 1
        var tags = SpanFilter()
        tags.tags = [SpanFilter.Tag("key.1", "a"), SpanFilter.Tag("service.name", nil)]
        tags.minDuration = 1
        return [SpanFilter(), all, tags]
    }()

    /// The footer's checksum and the trailer's made right again.
    static func repaired(_ bytes: [UInt8], footer: Range<Int>) -> [UInt8] {
        var bytes = bytes
        let trailer = bytes.count - 32
        func put(_ value: UInt32, at offset: Int) {
            for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
        }
        put(crc32c(Array(bytes[footer])), at: trailer + 12)
        put(crc32c(Array(bytes[trailer..<trailer + 20])), at: trailer + 20)
        return bytes
    }

    static func footer(of bytes: [UInt8]) -> Range<Int> {
        let trailer = bytes.count - 32
        var offset = 0
        for index in (0..<8).reversed() { offset = offset << 8 | Int(bytes[trailer + index]) }
        return offset..<trailer
    }

    @Test(arguments: UInt64(1)...12)
    func mutatedColumnsAndFootersNeverTrap(seed: UInt64) {
        var source = SegmentRandomSpans(seed: seed)
        source.keyCount = seed % 4 == 0 ? 1_500 : 8
        let spans = seed % 4 == 0 ? 300 : 40
        let original = segmentBytes(source.batches(2, spans: spans), blockSpans: seed % 2 == 0 ? 8_192 : 16).bytes
        let footer = Self.footer(of: original)
        var random = SegmentRandom(seed &* 31)
        for _ in 0..<60 {
            var bytes = original
            let inFooter = random.chance(40)
            let range = inFooter ? footer : 64..<footer.lowerBound
            for _ in 0..<(1 + random.below(4)) {
                let offset = range.lowerBound + random.below(range.count)
                bytes[offset] =
                    random.chance(50) ? bytes[offset] ^ 1 << UInt8(random.below(8)) : UInt8(random.below(256))
            }
            Self.readAll(inFooter ? Self.repaired(bytes, footer: footer) : bytes)
        }
    }
}
