internal import Bytes
internal import Glibc

/// What a column's values need at least, for a coder that knows how often each value and byte occurs and nothing of
/// their order.
///
/// The smaller of two models: every byte position is an alphabet of its own (order-0); or each distinct value is told
/// once in that way, and every further occurrence by its frequency. A coder that sees what repeats between neighbouring
/// rows can go below; none that treats rows as independent can.
enum ColumnEntropy {
    static func bits(_ column: ColumnValues) -> Double {
        switch column {
        case .constant(let bytes): return Double(bytes * 8)
        case .integers(let values): return min(planes(values), dictionary(values))
        case .strings(let bytes, let lengths, let codes):
            let direct = order0(bytes) + planes(lengths)
            guard let codes else { return direct }
            return direct + occurrences(codes)
        }
    }

    /// Bits of all symbols at their frequencies.
    private static func bits(counts: some Sequence<Int>, total: Int) -> Double {
        var sum = 0.0
        for count in counts where count > 0 { sum -= Double(count) * log2(Double(count) / Double(total)) }
        return sum
    }

    private static func order0(_ bytes: some Collection<UInt8>) -> Double {
        var counts = [Int](repeating: 0, count: 256)
        for byte in bytes { counts[Int(byte)] += 1 }
        return bits(counts: counts, total: bytes.count)
    }

    private static func planes(_ values: [UInt64]) -> Double {
        var sum = 0.0
        for shift in stride(from: 0, to: 64, by: 8) {
            sum += order0(values.lazy.map { UInt8(truncatingIfNeeded: $0 >> UInt64(shift)) })
        }
        return sum
    }

    private static func dictionary(_ values: [UInt64]) -> Double {
        var codes: [UInt64: UInt32] = [:]
        var distinct: [UInt64] = []
        let sequence = values.map { value in
            if let code = codes[value] { return code }
            let code = UInt32(truncatingIfNeeded: distinct.count)
            codes[value] = code
            distinct.append(value)
            return code
        }
        return planes(distinct) + occurrences(sequence)
    }

    /// Bits of a sequence of codes in which every first occurrence is the same symbol: the value is told elsewhere.
    private static func occurrences(_ codes: [UInt32]) -> Double {
        var counts: [UInt32: Int] = [:]
        for code in codes { counts[code, default: 0] += 1 }
        let repeated = counts.values.map { $0 - 1 }
        return bits(counts: repeated + [counts.count], total: codes.count)
    }
}

/// The values of a stored column without knowing how many rows it has.
enum ColumnValues {
    /// One value for all rows, of so many bytes.
    case constant(bytes: Int)
    case integers([UInt64])
    /// Distinct values end to end with their lengths, and each row's value; nil when row i has value i.
    case strings(bytes: [UInt8], lengths: [UInt64], codes: [UInt32]?)

    init(_ bytes: RawSpan, _ inflater: PieceInflater) throws(PieceDefect) {
        var reader = ByteReader(bytes)
        guard let byte = try? reader.read(UInt8.self), let encoding = ColumnEncoding(rawValue: byte) else {
            throw PieceDefect("unknown column encoding")
        }
        switch encoding {
        case .zero: self = .constant(bytes: 0)
        case .constant: self = .constant(bytes: reader.remaining)
        case .constantString: self = .constant(bytes: try inflater.frame(&reader).count)
        case .planes, .raw, .integerDictionary:
            self = .integers(try Self.integers(encoding, &reader, inflater).expanded(1))
        case .plainStrings:
            let lengths = try Self.integers(&reader, inflater)
            let bytes = try inflater.frame(&reader)
            self = .strings(bytes: bytes, lengths: lengths.expanded(1), codes: nil)
        case .stringDictionary:
            let distinct = try Self.varint(&reader, limit: SegmentFormat.blockRows)
            let lengths = try Self.integers(&reader, inflater)
            let bytes = try inflater.frame(&reader)
            let stored = try Self.integers(&reader, inflater).expanded(1)
            let codes = distinct > SegmentFormat.plainCodes ? Self.codes(stored) : stored
            self = .strings(
                bytes: bytes, lengths: lengths.expanded(distinct),
                codes: codes.map { UInt32(truncatingIfNeeded: $0) })
        }
    }

    private enum Integers {
        case constant(UInt64)
        case values([UInt64])

        func expanded(_ count: Int) -> [UInt64] {
            switch self {
            case .constant(let value): [UInt64](repeating: value, count: count)
            case .values(let values): values
            }
        }
    }

    private static func varint(_ reader: inout ByteReader, limit: Int) throws(PieceDefect) -> Int {
        do { return try reader.readCount(limit: limit) } catch { throw PieceDefect("column: \(error)") }
    }

    private static func integers(_ reader: inout ByteReader, _ inflater: PieceInflater) throws(PieceDefect) -> Integers
    {
        guard let byte = try? reader.read(UInt8.self), let encoding = ColumnEncoding(rawValue: byte) else {
            throw PieceDefect("unknown column encoding")
        }
        guard encoding != .integerDictionary else { throw PieceDefect("dictionary inside a dictionary") }
        return try integers(encoding, &reader, inflater)
    }

    private static func integers(
        _ encoding: ColumnEncoding, _ reader: inout ByteReader, _ inflater: PieceInflater
    ) throws(PieceDefect) -> Integers {
        switch encoding {
        case .zero: return .constant(0)
        case .constant:
            do { return .constant(try reader.readVarint()) } catch { throw PieceDefect("constant: \(error)") }
        case .planes: return .values(try planes(&reader, inflater))
        case .raw:
            let count = reader.remaining / 8
            do throws(ByteReadError) {
                var values: [UInt64] = []
                values.reserveCapacity(count)
                for _ in 0..<count { values.append(try reader.read(UInt64.self)) }
                return .values(values)
            } catch { throw PieceDefect("raw column: \(error)") }
        case .integerDictionary:
            let distinct = try varint(&reader, limit: SegmentFormat.integerDictionary)
            let values = try integers(&reader, inflater).expanded(distinct)
            let codes = try integers(&reader, inflater)
            guard case .values(let rows) = codes else { return .values(Array(values.prefix(1))) }
            guard rows.allSatisfy({ $0 < UInt64(values.count) }) else {
                throw PieceDefect("code beyond the dictionary")
            }
            return .values(rows.map { values[Int($0)] })
        case .constantString, .plainStrings, .stringDictionary: throw PieceDefect("strings where integers belong")
        }
    }

    private static func planes(_ reader: inout ByteReader, _ inflater: PieceInflater) throws(PieceDefect) -> [UInt64] {
        guard let base = try? reader.readVarint(), let width = try? reader.read(UInt8.self), (1...8).contains(width)
        else { throw PieceDefect("planes of an unknown width") }
        var values: [UInt64] = []
        for index in 0..<UInt64(width) {
            let plane = try inflater.frame(&reader)
            if index == 0 { values = [UInt64](repeating: base, count: plane.count) }
            guard plane.count == values.count else { throw PieceDefect("planes of different sizes") }
            for row in values.indices { values[row] &+= UInt64(plane[row]) &<< (8 * index) }
        }
        return values
    }

    /// Distances back through the values used become codes.
    private static func codes(_ distances: [UInt64]) -> [UInt64] {
        var used: UInt64 = 0
        return distances.map { distance in
            if distance == 0 { used += 1 }
            return distance == 0 ? used - 1 : used &- distance
        }
    }
}
