/// The bytes one column takes in a whole segment: where the bytes go.
package struct SegmentColumnReport: Hashable, Sendable {
    /// What the column holds; attribute columns are named by owner and key.
    package let name: String
    /// Bytes as stored, in all blocks.
    package let bytes: Int
    /// Blocks that have it.
    package let blocks: Int
}

extension SegmentReader {
    /// All columns, the largest first; `footer` stands for header, footer and trailer.
    package func columnReport() -> [SegmentColumnReport] {
        var bytes: [String: Int] = [:]
        var blocks: [String: Int] = [:]
        for (index, entry) in footer.blocks.enumerated() {
            let block = block(index, PieceInflater())
            for place in entry.columns.indices {
                let name = block.name(place)
                bytes[name, default: 0] += Int(entry.columns[place].byteCount)
                blocks[name, default: 0] += 1
            }
        }
        let inBlocks = bytes.values.reduce(0, +)
        bytes["footer"] = Int(clamping: summary.byteCount) - inBlocks
        return bytes.map { SegmentColumnReport(name: $0.key, bytes: $0.value, blocks: blocks[$0.key] ?? 1) }
            .sorted { $0.bytes != $1.bytes ? $0.bytes > $1.bytes : $0.name < $1.name }
    }
}
