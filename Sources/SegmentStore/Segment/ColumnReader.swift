internal import Bytes

/// Some rows of a column of integers.
struct IntegerColumn {
    /// The value of all rows when ``values`` is empty.
    let constant: UInt64
    let values: [UInt64]
    /// The row of the first value.
    let first: Int

    static let zero = IntegerColumn(constant: 0, values: [], first: 0)

    /// The value of a row; the row must be one that was asked for.
    @inline(__always)
    subscript(row: Int) -> UInt64 { values.isEmpty ? constant : values[row - first] }

    var isZero: Bool { values.isEmpty && constant == 0 }
}

/// Some rows of a column of byte strings.
struct StringColumn {
    /// The distinct values, or all values of a plain column, end to end.
    let bytes: [UInt8]
    /// Where each of them starts; one more than there are values.
    let offsets: [UInt32]
    /// For the rows asked for: the index of the value. Empty when all rows have value 0, or when plain.
    let codes: [UInt32]
    /// The row of the first code.
    let first: Int
    /// Row i has value i.
    let isPlain: Bool

    static let empty = StringColumn(bytes: [], offsets: [0, 0], codes: [], first: 0, isPlain: false)

    var valueCount: Int { offsets.count - 1 }

    /// The index of a row's value; the row must be one that was asked for.
    @inline(__always)
    func index(_ row: Int) -> Int { isPlain ? row : codes.isEmpty ? 0 : Int(codes[row - first]) }

    func value(_ index: Int) -> ArraySlice<UInt8> { bytes[Int(offsets[index])..<Int(offsets[index + 1])] }

    func text(_ row: Int) -> String {
        let index = index(row)
        return offsets[index] == offsets[index + 1] ? "" : String(decoding: value(index), as: UTF8.self)
    }
}

/// Decodes columns. Every count, width and code is checked: damaged bytes throw, they never trap.
///
/// Source: schemas/disk/segment.md, "Integers" and "Strings".
struct ColumnReader: ~Escapable {
    private var reader: ByteReader
    private let inflater: PieceInflater

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, _ inflater: PieceInflater) {
        reader = ByteReader(bytes)
        self.inflater = inflater
    }

    @_lifetime(self: copy self)
    private mutating func varint(limit: Int) throws(PieceDefect) -> Int {
        do { return try reader.readCount(limit: limit) } catch { throw PieceDefect("column: \(error)") }
    }

    @_lifetime(self: copy self)
    private mutating func encoding() throws(PieceDefect) -> ColumnEncoding {
        guard let byte = try? reader.read(UInt8.self), let encoding = ColumnEncoding(rawValue: byte) else {
            throw PieceDefect("unknown column encoding")
        }
        return encoding
    }

    func checkEnd() throws(PieceDefect) {
        guard reader.isAtEnd else { throw PieceDefect("bytes after the end of a column") }
    }

    /// Rows `rows` of `count` integers.
    @_lifetime(self: copy self)
    mutating func integers(
        count: Int, rows: Range<Int>, dictionary: Bool = true
    ) throws(PieceDefect) -> IntegerColumn {
        switch try encoding() {
        case .zero: return .zero
        case .constant:
            do {
                return IntegerColumn(constant: try reader.readVarint(), values: [], first: 0)
            } catch { throw PieceDefect("constant: \(error)") }
        case .planes: return try planes(count: count, rows: rows)
        case .raw: return try raw(count: count, rows: rows)
        case .integerDictionary:
            guard dictionary else { throw PieceDefect("dictionary inside a dictionary") }
            let distinct = try varint(limit: SegmentFormat.integerDictionary)
            guard distinct > 0 else { throw PieceDefect("empty dictionary") }
            let values = try integers(count: distinct, rows: 0..<distinct, dictionary: false)
            let codes = try integers(count: count, rows: rows, dictionary: false)
            return try looked(up: codes, in: values, distinct: distinct, rows: rows)
        case .constantString, .plainStrings, .stringDictionary: throw PieceDefect("strings where integers belong")
        }
    }

    private func looked(
        up codes: IntegerColumn, in values: IntegerColumn, distinct: Int, rows: Range<Int>
    ) throws(PieceDefect) -> IntegerColumn {
        if codes.values.isEmpty {
            guard codes.constant < UInt64(distinct) else { throw PieceDefect("code beyond the dictionary") }
            return IntegerColumn(constant: values[Int(codes.constant)], values: [], first: 0)
        }
        var result = codes.values
        for index in result.indices {
            guard result[index] < UInt64(distinct) else { throw PieceDefect("code beyond the dictionary") }
            result[index] = values[Int(result[index])]
        }
        return IntegerColumn(constant: 0, values: result, first: rows.lowerBound)
    }

    @_lifetime(self: copy self)
    private mutating func raw(count: Int, rows: Range<Int>) throws(PieceDefect) -> IntegerColumn {
        guard let bytes = try? reader.readBytes(count * 8) else { throw PieceDefect("raw column too short") }
        var values = [UInt64](repeating: 0, count: rows.count)
        bytes.withUnsafeBytes { bytes in
            for (index, row) in rows.enumerated() {
                values[index] = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: row * 8, as: UInt64.self))
            }
        }
        return IntegerColumn(constant: 0, values: values, first: rows.lowerBound)
    }

    @_lifetime(self: copy self)
    private mutating func planes(count: Int, rows: Range<Int>) throws(PieceDefect) -> IntegerColumn {
        guard let base = try? reader.readVarint(), let width = try? reader.read(UInt8.self), (1...8).contains(width)
        else { throw PieceDefect("planes of an unknown width") }
        var values = [UInt64](repeating: base, count: rows.count)
        for index in 0..<UInt64(width) {
            let plane = try inflater.frame(&reader)
            guard plane.count == count else { throw PieceDefect("plane of \(plane.count) bytes for \(count) rows") }
            let first = rows.lowerBound
            plane.withUnsafeBufferPointer { plane in
                values.withUnsafeMutableBufferPointer { values in
                    for row in 0..<values.count { values[row] &+= UInt64(plane[first + row]) &<< (8 * index) }
                }
            }
        }
        return IntegerColumn(constant: 0, values: values, first: rows.lowerBound)
    }

    /// Rows `rows` of `count` byte strings.
    @_lifetime(self: copy self)
    mutating func strings(count: Int, rows: Range<Int>) throws(PieceDefect) -> StringColumn {
        switch try encoding() {
        case .constantString:
            let bytes = try inflater.frame(&reader)
            let end = UInt32(truncatingIfNeeded: bytes.count)
            return StringColumn(bytes: bytes, offsets: [0, end], codes: [], first: 0, isPlain: false)
        case .plainStrings:
            let lengths = try integers(count: count, rows: 0..<count, dictionary: false)
            let (bytes, offsets) = try values(lengths, count)
            return StringColumn(bytes: bytes, offsets: offsets, codes: [], first: 0, isPlain: true)
        case .stringDictionary:
            let distinct = try varint(limit: count)
            guard distinct > 0 else { throw PieceDefect("empty dictionary") }
            let lengths = try integers(count: distinct, rows: 0..<distinct, dictionary: false)
            let (bytes, offsets) = try values(lengths, distinct)
            let codes = try codes(count: count, distinct: distinct, rows: rows)
            return StringColumn(
                bytes: bytes, offsets: offsets, codes: codes, first: rows.lowerBound, isPlain: false)
        case .zero, .constant, .planes, .integerDictionary, .raw: throw PieceDefect("integers where strings belong")
        }
    }

    @_lifetime(self: copy self)
    private mutating func values(
        _ lengths: IntegerColumn, _ count: Int
    ) throws(PieceDefect) -> (bytes: [UInt8], offsets: [UInt32]) {
        let bytes = try inflater.frame(&reader)
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(count + 1)
        var end: UInt64 = 0
        for index in 0..<count {
            let length = lengths[index]
            guard length <= UInt64(bytes.count) - end else { throw PieceDefect("value beyond its column") }
            end += length
            offsets.append(UInt32(truncatingIfNeeded: end))
        }
        guard end == UInt64(bytes.count) else { throw PieceDefect("bytes after the last value") }
        return (bytes, offsets)
    }

    @_lifetime(self: copy self)
    private mutating func codes(count: Int, distinct: Int, rows: Range<Int>) throws(PieceDefect) -> [UInt32] {
        guard distinct > SegmentFormat.plainCodes else {
            let stored = try integers(count: count, rows: rows, dictionary: false)
            return try Self.plainCodes(stored, rows.count, distinct)
        }
        // A distance counts from all rows before it.
        let stored = try integers(count: count, rows: 0..<rows.upperBound, dictionary: false)
        var codes: [UInt32] = []
        codes.reserveCapacity(rows.count)
        var used: UInt64 = 0
        for row in 0..<rows.upperBound {
            let distance = stored[row]
            guard distance <= used else { throw PieceDefect("distance beyond the values used") }
            if distance == 0 { used += 1 }
            let code = distance == 0 ? used - 1 : used - distance
            guard code < UInt64(distinct) else { throw PieceDefect("code beyond the dictionary") }
            if row >= rows.lowerBound { codes.append(UInt32(truncatingIfNeeded: code)) }
        }
        return codes
    }

    private static func plainCodes(
        _ stored: IntegerColumn, _ count: Int, _ distinct: Int
    ) throws(PieceDefect) -> [UInt32] {
        if stored.values.isEmpty {
            guard stored.constant < UInt64(distinct) else { throw PieceDefect("code beyond the dictionary") }
            return [UInt32](repeating: UInt32(truncatingIfNeeded: stored.constant), count: count)
        }
        var most: UInt64 = 0
        let codes = [UInt32](unsafeUninitializedCapacity: count) { target, written in
            stored.values.withUnsafeBufferPointer { values in
                for row in 0..<min(count, values.count) {
                    most = max(most, values[row])
                    target[row] = UInt32(truncatingIfNeeded: values[row])
                }
                written = min(count, values.count)
            }
        }
        guard most < UInt64(distinct) else { throw PieceDefect("code beyond the dictionary") }
        return codes
    }
}
