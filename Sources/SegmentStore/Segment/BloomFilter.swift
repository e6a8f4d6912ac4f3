/// A blocked Bloom filter over 64-bit hashes: one cache line a lookup, seven bits of it a hash.
///
/// Source: schemas/disk/segment.md, "Filters".
enum BloomFilter {
    private static let wordsPerLine = SegmentFormat.filterLineBytes / 8
    private static let probes = 7

    /// The words of a filter for that many distinct hashes, all still zero.
    static func emptyWords(hashes: Int, bitsPerHash: Int, foldable: Bool = false) -> [UInt64] {
        let lineBits = SegmentFormat.filterLineBytes * 8
        var lines = max(1, (hashes * bitsPerHash + lineBits - 1) / lineBits)
        if foldable {
            let unit = 1 << max(0, Int.bitWidth - 1 - lines.leadingZeroBitCount - 3)
            lines = (lines + unit - 1) / unit * unit
        }
        return [UInt64](repeating: 0, count: lines * wordsPerLine)
    }

    /// The filter of the same hashes with half as many lines; nil when there is an odd number of them.
    ///
    /// With half the lines a hash belongs to half its line, rounded down: so each two neighbours become one.
    static func folded(_ words: [UInt64]) -> [UInt64]? {
        guard words.count % (2 * wordsPerLine) == 0 else { return nil }
        return (0..<words.count / 2).map { index in
            let first = index / wordsPerLine * 2 * wordsPerLine + index % wordsPerLine
            return words[first] | words[first + wordsPerLine]
        }
    }

    @inline(__always)
    static func insert(_ hash: UInt64, into words: UnsafeMutableBufferPointer<UInt64>) {
        let first = firstWord(hash, lines: words.count / wordsPerLine)
        var bits = hash &* 0xD6E8_FEB8_6659_FD93
        for _ in 0..<probes {
            words[first + Int(bits >> 6 & 7)] |= 1 << (bits & 63)
            bits >>= 9
        }
    }

    /// False only when the hash was never inserted. `bytes` must be whole lines, at least one.
    @inline(__always)
    static func mayContain(_ hash: UInt64, in bytes: UnsafeRawBufferPointer) -> Bool {
        let first = firstWord(hash, lines: bytes.count / SegmentFormat.filterLineBytes)
        var bits = hash &* 0xD6E8_FEB8_6659_FD93
        for _ in 0..<probes {
            let offset = (first + Int(bits >> 6 & 7)) * 8
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            if word & (1 << (bits & 63)) == 0 { return false }
            bits >>= 9
        }
        return true
    }

    static func isWhole(_ byteCount: Int) -> Bool {
        byteCount > 0 && byteCount % SegmentFormat.filterLineBytes == 0
    }

    @inline(__always)
    private static func firstWord(_ hash: UInt64, lines: Int) -> Int {
        Int(((hash >> 32) &* UInt64(lines)) >> 32) * wordsPerLine
    }
}
