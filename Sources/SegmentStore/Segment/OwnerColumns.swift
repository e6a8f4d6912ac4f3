internal import Telemetry

/// The attributes of one kind of owner of a decoded block: a cell for each, in the order of owners.
///
/// A cell is what the column stores of a number, or the index of a string among all values of the owner's columns.
/// Owners of one kind lie one behind the other, so a run of them is a run of cells.
final class OwnerColumns {
    struct Column {
        /// Index into the keys of the block's tables.
        let key: Int
        let type: AttributeType
    }

    let columns: [Column]
    /// The distinct values of all columns of strings, and where each begins; one more than there are values.
    let text: GrowingBuffer<UInt8>
    let textStarts: GrowingBuffer<UInt32>
    /// By owner: its shape.
    let shapeOf: GrowingBuffer<UInt32>
    /// By shape: where its columns begin in ``shapeColumns``; one more than there are shapes.
    let shapeStarts: GrowingBuffer<UInt32>
    let shapeColumns: GrowingBuffer<UInt16>
    /// By owner: where its cells begin; one more than there are owners.
    let starts: GrowingBuffer<UInt32>
    let cells: GrowingBuffer<UInt64>
    /// No owner has more bytes of text.
    let largestText: Int

    var valueCount: Int { textStarts.count - 1 }

    /// Nil when attributes lie in the shared column: their keys differ from one to the next.
    init?(
        _ block: inout BlockReader, _ owner: AttributeOwner, count: Int, key: (UInt32) -> Int
    ) throws(SegmentError) {
        let shapes = try AttributeShapes(&block, owner, count: count)
        guard !shapes.shapes.contains(where: { $0.contains(SegmentFormat.sharedColumn) }) else { return nil }
        let totals = shapes.occurrences(0..<count)
        var loaded = LoadedColumns(cells: totals.reduce(0, +))
        for (index, place) in shapes.places.enumerated() {
            try loaded.add(&block, place, count: totals[index], key: key)
        }
        var shapeOf = GrowingBuffer<UInt32>(capacity: max(1, count))
        for owner in 0..<count { shapeOf.append(UInt32(truncatingIfNeeded: shapes.codes.index(owner))) }
        var shapeStarts = GrowingBuffer<UInt32>()
        var shapeColumns = GrowingBuffer<UInt16>()
        var largestText = 0
        for shape in shapes.shapes {
            shapeStarts.append(UInt32(truncatingIfNeeded: shapeColumns.count))
            for column in shape { shapeColumns.append(column) }
            largestText = max(largestText, shape.reduce(0) { $0 &+ loaded.longest[Int($1)] })
        }
        shapeStarts.append(UInt32(truncatingIfNeeded: shapeColumns.count))
        var starts = GrowingBuffer<UInt32>(capacity: count + 1)
        cells = loaded.inOrder(of: shapeOf, shapeStarts, shapeColumns, starts: &starts)
        columns = loaded.columns
        text = loaded.text
        textStarts = loaded.textStarts
        self.shapeOf = shapeOf
        self.shapeStarts = shapeStarts
        self.shapeColumns = shapeColumns
        self.starts = starts
        self.largestText = largestText
    }

    @inline(__always)
    func value(_ index: Int) -> UnsafeRawBufferPointer {
        let start = Int(textStarts.base[index])
        return UnsafeRawBufferPointer(start: text.base + start, count: Int(textStarts.base[index + 1]) - start)
    }
}

/// The value columns of one kind of owner, on their way to cells.
private struct LoadedColumns: ~Copyable {
    private(set) var columns: [OwnerColumns.Column] = []
    var text = GrowingBuffer<UInt8>()
    var textStarts = GrowingBuffer<UInt32>()
    /// By column: bytes of its longest value.
    private(set) var longest: [Int] = []
    /// Column after column, each in the order of owners; and where each column begins.
    private var cells: GrowingBuffer<UInt64>
    private var firsts: [Int] = []

    init(cells count: Int) {
        cells = GrowingBuffer(capacity: max(1, count))
        textStarts.append(0)
    }

    mutating func add(
        _ block: inout BlockReader, _ place: Int, count: Int, key: (UInt32) -> Int
    ) throws(SegmentError) {
        let entry = block.entry.columns[place]
        guard let type = AttributeType(rawValue: entry.type) else { throw block.damage("unknown attribute type") }
        columns.append(OwnerColumns.Column(key: key(entry.key), type: type))
        firsts.append(cells.count)
        longest.append(0)
        guard count > 0 else { return }
        switch type {
        case .empty: cells.append(repeating: 0, count: count)
        case .int, .double: cells.append(0..<count, of: try block.integers(place: place, count: count, rows: 0..<count))
        case .bool:
            let column = try block.integers(place: place, count: count, rows: 0..<count)
            for row in 0..<count { cells.append(column[row] == 0 ? 0 : 1) }
        case .string, .bytes, .array, .map:
            let column = try block.strings(place: place, count: count, rows: 0..<count)
            guard text.count + column.bytes.count <= Int(UInt32.max) else {
                throw block.damage("strings beyond 4 GiB")
            }
            addText(column, count: count)
        }
    }

    private mutating func addText(_ column: StringColumn, count: Int) {
        let first = UInt64(textStarts.count - 1)
        let base = UInt32(truncatingIfNeeded: text.count)
        column.bytes.withUnsafeBufferPointer { if let start = $0.baseAddress { text.append(start, count: $0.count) } }
        column.offsets.withUnsafeBufferPointer { offsets in
            for index in 1..<max(1, offsets.count) { textStarts.append(base &+ offsets[index]) }
        }
        longest[longest.count - 1] = column.longest
        if column.isPlain {
            for row in 0..<count { cells.append(first &+ UInt64(row)) }
        } else if column.codes.isEmpty {
            cells.append(repeating: first, count: count)
        } else {
            column.codes.withUnsafeBufferPointer { codes in
                for code in codes { cells.append(first &+ UInt64(code)) }
            }
        }
    }

    /// The cells of all columns in the order of owners. Use it once.
    mutating func inOrder(
        of shapeOf: borrowing GrowingBuffer<UInt32>, _ shapeStarts: borrowing GrowingBuffer<UInt32>,
        _ shapeColumns: borrowing GrowingBuffer<UInt16>, starts: inout GrowingBuffer<UInt32>
    ) -> GrowingBuffer<UInt64> {
        var result = GrowingBuffer<UInt64>(capacity: max(1, cells.count))
        firsts.withUnsafeMutableBufferPointer { next in
            for owner in 0..<shapeOf.count {
                starts.append(UInt32(truncatingIfNeeded: result.count))
                let shape = Int(shapeOf.base[owner])
                for place in Int(shapeStarts.base[shape])..<Int(shapeStarts.base[shape + 1]) {
                    let column = Int(shapeColumns.base[place])
                    result.append(cells.base[next[column]])
                    next[column] &+= 1
                }
            }
        }
        starts.append(UInt32(truncatingIfNeeded: result.count))
        return result
    }
}

extension StringColumn {
    /// Bytes of the longest value.
    var longest: Int {
        var result: UInt32 = 0
        for index in 1..<max(1, offsets.count) { result = max(result, offsets[index] &- offsets[index - 1]) }
        return Int(result)
    }
}
