/// A blocked Bloom filter over trace ids: one cache line a lookup, ten bits a trace, about one false hit in a hundred.
///
/// Source: schemas/disk/segment.md, "Filter".
struct TraceFilter: Sendable {
    private(set) var words: [UInt64]

    private static let wordsPerBlock = SegmentFormat.filterBlockBytes / 8
    private static let bitsPerTrace = 10

    static func hash(_ high: UInt64, _ low: UInt64) -> UInt64 {
        mixed(mixed(high ^ 0x9E37_79B9_7F4A_7C15) ^ low)
    }

    init(traces: [SpanOrder.Trace]) {
        self.init(traceCount: traces.count)
        for trace in traces { insert(trace.high, trace.low) }
    }

    /// An empty filter with room for `traceCount` traces.
    init(traceCount: Int) {
        let blockBits = SegmentFormat.filterBlockBytes * 8
        let blocks = max(1, (traceCount * Self.bitsPerTrace + blockBits - 1) / blockBits)
        words = [UInt64](repeating: 0, count: blocks * Self.wordsPerBlock)
    }

    mutating func insert(_ high: UInt64, _ low: UInt64) {
        let hash = Self.hash(high, low)
        let first = Self.firstWord(hash, blocks: words.count / Self.wordsPerBlock)
        var bits = hash &* 0xD6E8_FEB8_6659_FD93
        for _ in 0..<6 {
            words[first + Int(bits >> 6 & 7)] |= 1 << (bits & 63)
            bits >>= 9
        }
    }

    /// Nil unless the bytes are whole blocks.
    init?(bytes: [UInt8]) {
        guard bytes.count > 0, bytes.count % SegmentFormat.filterBlockBytes == 0 else { return nil }
        words = bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map {
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
            }
        }
    }

    /// False only when no span of the trace is in the file.
    func mayContain(_ high: UInt64, _ low: UInt64) -> Bool {
        let hash = Self.hash(high, low)
        let first = Self.firstWord(hash, blocks: words.count / Self.wordsPerBlock)
        var bits = hash &* 0xD6E8_FEB8_6659_FD93
        for _ in 0..<6 {
            if words[first + Int(bits >> 6 & 7)] & (1 << (bits & 63)) == 0 { return false }
            bits >>= 9
        }
        return true
    }

    private static func firstWord(_ hash: UInt64, blocks: Int) -> Int {
        Int((hash >> 32) &* UInt64(blocks) >> 32) * wordsPerBlock
    }
}
