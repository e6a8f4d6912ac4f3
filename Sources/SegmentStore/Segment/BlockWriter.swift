internal import Bytes

/// Writes a gathered block: every column that is not all default, in the order of ids.
struct BlockWriter: ~Copyable {
    private var writer: ColumnWriter
    private var columns: [ColumnEntry] = []
    /// The encoder's key index -> the file's, + 1; keys get into the file with their first column.
    private var fileKeys: [UInt32]
    private(set) var keys: [[UInt8]] = []
    private var keyPlaces: [[UInt8]: UInt32] = [:]
    private var values = ValueFilterBuilder()

    init(compressionLevel: Int32, keyCount: Int) {
        writer = ColumnWriter(compressionLevel: compressionLevel)
        fileKeys = [UInt32](repeating: 0, count: keyCount)
    }

    /// Says that the encoder's key indexes mean other keys from now on.
    mutating func renumberKeys(keyCount: Int) { fileKeys = [UInt32](repeating: 0, count: keyCount) }

    /// The bytes of the block and its columns.
    mutating func write(
        _ block: borrowing BlockBuilder, keyTable: borrowing StringInterner
    ) -> (bytes: [UInt8], columns: [ColumnEntry]) {
        writer.output = []
        writer.output.reserveCapacity(512 << 10)
        columns = []
        for id in UInt8(1)...ColumnID.resourceDropped { writeFixed(id, block) }
        let start = writer.output.count
        values.words(block, keyTable: keyTable).withUnsafeBytes { writer.output.append(contentsOf: $0) }
        close(ColumnEntry(id: ColumnID.valueFilter, byteCount: 0, checksum: 0), from: start)
        writeAttributes(block.spanAttributes, keyTable)
        writeAttributes(block.eventAttributes, keyTable)
        writeAttributes(block.linkAttributes, keyTable)
        writeAttributes(block.scopeAttributes, keyTable)
        writeAttributes(block.resourceAttributes, keyTable)
        return (writer.output, columns)
    }

    private mutating func writeFixed(_ id: UInt8, _ block: borrowing BlockBuilder) {
        let start = writer.output.count
        let values = block.integers[Int(id)].buffer
        if values.count > 0 {
            guard values.contains(where: { $0 != 0 }) else { return }
            switch id {
            case ColumnID.traceHigh, ColumnID.traceLow, ColumnID.spanID, ColumnID.parentID, ColumnID.linkTraceHigh,
                ColumnID.linkTraceLow, ColumnID.linkSpanID:
                writer.writeRaw(values)
            default: writer.writeIntegers(values)
            }
        } else if block.strings[Int(id)].totalBytes > 0 {
            writer.writeStrings(block.strings[Int(id)])
        } else {
            return
        }
        close(ColumnEntry(id: id, byteCount: 0, checksum: 0), from: start)
    }

    private mutating func writeAttributes(_ space: borrowing AttributeColumns, _ keyTable: borrowing StringInterner) {
        guard space.shapes.totalBytes > 0 else { return }
        var start = writer.output.count
        writer.writeStrings(space.shapes)
        close(ColumnEntry(id: ColumnID.shape(space.owner), byteCount: 0, checksum: 0), from: start)
        if space.shared.count > 0 {
            start = writer.output.count
            writer.writeStrings(space.shared)
            close(ColumnEntry(id: ColumnID.shared(space.owner), byteCount: 0, checksum: 0), from: start)
        }
        for index in 0..<space.columns.count {
            let column = space.columns.base[index]
            start = writer.output.count
            switch column.type {
            case 1, 5, 6, 7: writer.writeStrings(space.strings[index].pointee)
            case 2, 3, 4: writer.writeIntegers(space.integers[index].pointee.buffer)
            default: break
            }
            let key = fileKey(Int(column.key), keyTable)
            close(
                ColumnEntry(
                    id: ColumnID.value(space.owner), key: key, type: column.type, byteCount: 0, checksum: 0),
                from: start)
        }
    }

    private mutating func fileKey(_ key: Int, _ keyTable: borrowing StringInterner) -> UInt32 {
        if fileKeys[key] == 0 {
            let text = Array(keyTable.value(key))
            if keyPlaces[text] == nil {
                keys.append(text)
                keyPlaces[text] = UInt32(truncatingIfNeeded: keys.count)
            }
            fileKeys[key] = keyPlaces[text] ?? 1
        }
        return fileKeys[key] - 1
    }

    private mutating func close(_ entry: ColumnEntry, from start: Int) {
        var entry = entry
        entry.byteCount = UInt32(truncatingIfNeeded: writer.output.count - start)
        entry.checksum = writer.output.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        columns.append(entry)
    }
}
