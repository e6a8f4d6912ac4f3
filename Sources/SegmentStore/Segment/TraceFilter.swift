/// A Bloom filter over the trace ids of a segment: twenty bits a trace, about one false hit in two thousand.
///
/// Source: schemas/disk/segment.md, "Filters".
struct TraceFilter: Sendable {
    private(set) var words: [UInt64]

    private static let bitsPerTrace = 20

    static func hash(_ high: UInt64, _ low: UInt64) -> UInt64 {
        mixed(mixed(high ^ 0x9E37_79B9_7F4A_7C15) ^ low)
    }

    init(traces: [SpanOrder.Trace]) {
        self.init(traceCount: traces.count)
        for trace in traces { insert(trace.high, trace.low) }
    }

    /// An empty filter with room for `traceCount` traces.
    init(traceCount: Int) {
        words = BloomFilter.emptyWords(hashes: traceCount, bitsPerHash: Self.bitsPerTrace)
    }

    /// The same, of a length that ``fold(to:)`` can halve; at most an eighth longer.
    init(foldable traceCount: Int) {
        words = BloomFilter.emptyWords(hashes: traceCount, bitsPerHash: Self.bitsPerTrace, foldable: true)
    }

    /// Becomes as short as `traceCount` traces need, if there are no more in it.
    mutating func fold(to traceCount: Int) {
        let least = BloomFilter.emptyWords(hashes: traceCount, bitsPerHash: Self.bitsPerTrace).count
        while words.count / 2 >= least, let half = BloomFilter.folded(words) { words = half }
    }

    mutating func insert(_ high: UInt64, _ low: UInt64) {
        words.withUnsafeMutableBufferPointer { BloomFilter.insert(Self.hash(high, low), into: $0) }
    }

    /// Nil unless the bytes are whole lines.
    init?(bytes: [UInt8]) {
        guard BloomFilter.isWhole(bytes.count) else { return nil }
        words = bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
    }

    /// False only when no span of the trace is in the file.
    func mayContain(_ high: UInt64, _ low: UInt64) -> Bool {
        words.withUnsafeBytes { BloomFilter.mayContain(Self.hash(high, low), in: $0) }
    }
}
