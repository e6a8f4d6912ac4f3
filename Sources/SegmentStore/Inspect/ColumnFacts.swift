internal import Bytes

/// One column of a segment: the bytes it takes and the bytes it would need.
package struct ColumnFacts: Hashable, Sendable {
    /// As in ``SegmentColumnReport``.
    package let name: String
    /// As stored, in all blocks.
    package var bytes: Int
    /// The entropy of its values, see `ColumnEntropy`, block by block; zero for what can be derived from other columns,
    /// nil where it means nothing.
    package var floor: Double?
    package var blocks: Int

    package init(name: String, bytes: Int, floor: Double?, blocks: Int) {
        self.name = name
        self.bytes = bytes
        self.floor = floor
        self.blocks = blocks
    }

    /// The columns of several segments as one list, the largest first.
    package static func sum(_ lists: [[ColumnFacts]]) -> [ColumnFacts] {
        var sums: [String: ColumnFacts] = [:]
        for column in lists.joined() {
            var sum = sums[column.name] ?? ColumnFacts(name: column.name, bytes: 0, floor: 0, blocks: 0)
            sum.bytes += column.bytes
            sum.floor = column.floor.flatMap { floor in sum.floor.map { $0 + floor } }
            sum.blocks += column.blocks
            sums[column.name] = sum
        }
        return sums.values.sorted { ($1.bytes, $0.name) < ($0.bytes, $1.name) }
    }
}

extension SegmentReader {
    /// Reads every column. Largest first; `footer` stands for header, footer and trailer.
    package func columnFacts() throws(SegmentError) -> [ColumnFacts] {
        var floors: [String: Double] = [:]
        let inflater = PieceInflater()
        for index in 0..<blockCount {
            let block = block(index, inflater)
            for (place, column) in block.entry.columns.enumerated() where column.id != ColumnID.valueFilter {
                floors[block.name(place), default: 0] += try entropy(of: column, in: block, place, inflater)
            }
        }
        return columnReport().map { column in
            let isDerived = column.name == ColumnID.name(ColumnID.valueFilter)
            let floor = floors[column.name] ?? (isDerived ? 0 : nil)
            return ColumnFacts(name: column.name, bytes: column.bytes, floor: floor, blocks: column.blocks)
        }
    }

    /// In bytes.
    private func entropy(
        of column: ColumnEntry, in block: BlockReader, _ place: Int, _ inflater: PieceInflater
    ) throws(SegmentError) -> Double {
        // The values of attributes without a value take no bytes.
        guard column.byteCount > 0 else { return 0 }
        let bytes: [UInt8]
        do { bytes = try file.read(at: column.offset, count: Int(column.byteCount)) } catch { throw .disk(error) }
        guard crc32c(bytes) == column.checksum else { throw block.damage("checksum of \(block.name(place))") }
        do throws(PieceDefect) {
            return ColumnEntropy.bits(try ColumnValues(bytes.span.bytes, inflater)) / 8
        } catch { throw block.damage("\(block.name(place)): \(error.reason)") }
    }
}
