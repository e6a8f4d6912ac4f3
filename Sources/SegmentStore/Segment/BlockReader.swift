internal import Bytes

/// Reads the columns of one block, each when it is asked for. Belongs to one query on one thread.
struct BlockReader {
    let file: any DiskFile
    let fileName: String
    let index: Int
    let entry: BlockEntry
    let keys: [[UInt8]]
    let inflater: PieceInflater
    let checksColumns: Bool
    /// The stored bytes of the whole block, when they were read at once.
    private var image: [UInt8] = []
    private(set) var bytesRead = 0

    init(
        file: any DiskFile, fileName: String, index: Int, entry: BlockEntry, keys: [[UInt8]],
        inflater: PieceInflater, checksColumns: Bool
    ) {
        self.file = file
        self.fileName = fileName
        self.index = index
        self.entry = entry
        self.keys = keys
        self.inflater = inflater
        self.checksColumns = checksColumns
    }

    func damage(_ reason: String) -> SegmentError { .damaged(file: fileName, block: index, reason) }

    /// Reads all columns with one call.
    mutating func loadAll() throws(SegmentError) {
        guard let first = entry.columns.first else { return }
        let count = Int(entry.byteCount)
        do { image = try file.read(at: first.offset, count: count) } catch { throw .disk(error) }
        bytesRead += count
    }

    /// Forgets what ``loadAll()`` read.
    mutating func unload() { image = [] }

    /// The place of a column in the directory entry; nil when all its values are default.
    func place(_ id: UInt8) -> Int? { entry.columns.firstIndex { $0.id == id } }

    /// Places of an owner's value columns, in order.
    func valuePlaces(_ owner: AttributeOwner) -> [Int] {
        let id = ColumnID.value(owner)
        return entry.columns.indices.filter { entry.columns[$0].id == id }
    }

    mutating func integers(_ id: UInt8, count: Int, rows: Range<Int>) throws(SegmentError) -> IntegerColumn {
        guard let place = place(id) else { return .zero }
        return try integers(place: place, count: count, rows: rows)
    }

    mutating func strings(_ id: UInt8, count: Int, rows: Range<Int>) throws(SegmentError) -> StringColumn {
        guard let place = place(id) else { return .empty }
        return try strings(place: place, count: count, rows: rows)
    }

    mutating func integers(place: Int, count: Int, rows: Range<Int>) throws(SegmentError) -> IntegerColumn {
        let (stored, range) = try stored(place)
        let bytes = stored.span.bytes
        var reader = ColumnReader(bytes.extracting(range), inflater)
        do {
            let column = try reader.integers(count: count, rows: rows)
            try reader.checkEnd()
            return column
        } catch {
            throw damage("\(name(place)): \(error.reason)")
        }
    }

    mutating func strings(place: Int, count: Int, rows: Range<Int>) throws(SegmentError) -> StringColumn {
        let (stored, range) = try stored(place)
        let bytes = stored.span.bytes
        var reader = ColumnReader(bytes.extracting(range), inflater)
        do {
            let column = try reader.strings(count: count, rows: rows)
            try reader.checkEnd()
            return column
        } catch {
            throw damage("\(name(place)): \(error.reason)")
        }
    }

    /// Bytes with a column's checked bytes in the range.
    private mutating func stored(_ place: Int) throws(SegmentError) -> ([UInt8], Range<Int>) {
        let column = entry.columns[place]
        let count = Int(column.byteCount)
        var bytes = image
        var start = 0
        if image.isEmpty {
            do { bytes = try file.read(at: column.offset, count: count) } catch { throw .disk(error) }
            bytesRead += count
        } else {
            start = Int(column.offset - (entry.columns.first?.offset ?? 0))
        }
        guard start >= 0, start + count <= bytes.count else { throw damage("column beyond the block") }
        let range = start..<start + count
        guard checksColumns else { return (bytes, range) }
        let checksum = bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[range])) }
        guard checksum == column.checksum else { throw damage("checksum of \(name(place))") }
        return (bytes, range)
    }

    /// Gives the block's value filter to `body`; nil when the block has none.
    mutating func valueFilter<Result>(_ body: (UnsafeRawBufferPointer) -> Result) throws(SegmentError) -> Result? {
        guard let place = place(ColumnID.valueFilter) else { return nil }
        let (bytes, range) = try stored(place)
        guard BloomFilter.isWhole(range.count) else { throw damage("value filter of \(range.count) bytes") }
        return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// Checks the bytes of every column.
    mutating func checkColumns() throws(SegmentError) {
        try loadAll()
        if let place = damagedColumns().first { throw damage("checksum of \(name(place))") }
    }

    /// Places of the columns of a loaded block whose bytes do not have their checksum.
    func damagedColumns() -> [Int] {
        let first = entry.columns.first?.offset ?? 0
        return entry.columns.indices.filter { place in
            let column = entry.columns[place]
            let start = Int(column.offset - first)
            let end = start + Int(column.byteCount)
            guard start >= 0, end <= image.count else { return true }
            return image.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
                != column.checksum
        }
    }

    func name(_ place: Int) -> String {
        let column = entry.columns[place]
        guard let owner = ColumnID.valueOwner(column.id) else { return ColumnID.name(column.id) }
        return "\(owner) attribute \(keyText(column.key))"
    }

    func keyText(_ key: UInt32) -> String {
        Int(key) < keys.count ? String(decoding: keys[Int(key)], as: UTF8.self) : ""
    }
}
