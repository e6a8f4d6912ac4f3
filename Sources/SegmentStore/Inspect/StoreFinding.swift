/// Something that looking through a directory met.
package struct StoreFinding: Hashable, Sendable, CustomStringConvertible {
    /// Relative to the directory.
    package var file: String
    /// Of a segment; nil for header, footer, trailer and other files.
    package var block: Int?
    /// Bytes of the file that cannot be trusted; nil when the file is missing or cannot be read at all.
    package var bytes: Range<UInt64>?
    package var reason: String
    /// False for what a crash leaves in good order: bytes that were never acknowledged, drafts.
    package var isDamage: Bool

    package init(
        _ file: String, block: Int? = nil, bytes: Range<UInt64>? = nil, _ reason: String, isDamage: Bool = true
    ) {
        self.file = file
        self.block = block
        self.bytes = bytes
        self.reason = reason
        self.isDamage = isDamage
    }

    package var description: String {
        let place = block.map { " block \($0)" } ?? ""
        let range = bytes.map { " bytes \($0.lowerBound)..<\($0.upperBound)" } ?? ""
        return "\(file)\(place)\(range): \(reason)"
    }
}

extension SegmentReader {
    /// Every column of every block whose checksum is wrong, with its bytes in the file.
    package func findings() -> [StoreFinding] {
        blockIndices.flatMap { index in
            var block = block(index, PieceInflater())
            return block.findings()
        }
    }

    private var blockIndices: Range<Int> { 0..<blockCount }
}

extension BlockReader {
    mutating func findings() -> [StoreFinding] {
        let start = entry.columns.first?.offset ?? 0
        do throws(SegmentError) { try checkColumns() } catch {
            if case .disk(let error) = error {
                let range = start..<(start &+ entry.byteCount)
                return [StoreFinding(fileName, block: index, bytes: range, error.description)]
            }
        }
        return damagedColumns().map { place in
            let column = entry.columns[place]
            let end = column.offset &+ UInt64(column.byteCount)
            return StoreFinding(
                fileName, block: index, bytes: column.offset..<max(column.offset, end), "checksum of \(name(place))")
        }
    }
}
