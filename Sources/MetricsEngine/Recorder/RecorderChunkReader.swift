internal import Bytes
internal import Telemetry

/// Reads the series of a chunk that a selector means. Source: schemas/disk/recorder.md, "Chunk".
enum RecorderChunkReader {
    private struct Family {
        var name: String
        var kind: MetricFamilyKind
        var bounds: [Double]
        var isWanted: Bool
    }

    /// Seconds one series may have in a block.
    private static let longestSeconds = 1 << 20

    /// - Returns: nil when the bytes break the format; nothing of them is used then.
    static func read(_ bytes: [UInt8], of facts: RecorderBlockFacts, _ selector: RecordSelector) -> [RecordedSeries]? {
        do { return try readOrThrow(bytes, facts, selector) } catch { return nil }
    }

    private static func readOrThrow(
        _ bytes: [UInt8], _ facts: RecorderBlockFacts, _ selector: RecordSelector
    ) throws(RecordFault) -> [RecordedSeries] {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        var families: [Family] = []
        for _ in 0..<(try reader.count()) { families.append(try family(&reader, selector)) }
        var found: [RecordedSeries] = []
        for _ in 0..<(try reader.count()) {
            let number = try reader.unsigned()
            guard number < UInt64(families.count) else { throw .malformed }
            let family = families[Int(number)]
            let text = try reader.text()
            guard family.isWanted, text.withUnsafeBytes({ selector.includes(labels: $0) }) else {
                try reader.skipText()
                continue
            }
            let piece = try piece(try reader.text(), family, facts)
            found.append(
                RecordedSeries(
                    family: family.name, kind: family.kind, labelText: text, bounds: family.bounds, pieces: [piece]))
        }
        guard reader.isAtEnd else { throw .malformed }
        return found
    }

    private static func family(
        _ reader: inout RecordReader, _ selector: RecordSelector
    ) throws(RecordFault) -> Family {
        let name = try reader.string()
        guard let kind = MetricFamilyKind(rawValue: try reader.byte()) else { throw .malformed }
        let count = try reader.count()
        guard count <= ClassicBuckets.largestCount else { throw .malformed }
        var bounds: [Double] = []
        for _ in 0..<count { bounds.append(try reader.double()) }
        return Family(
            name: name, kind: kind, bounds: bounds, isWanted: selector.includes(family: name, kind: kind))
    }

    private static func piece(
        _ bytes: [UInt8], _ family: Family, _ facts: RecorderBlockFacts
    ) throws(RecordFault) -> RecordedPiece {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        var piece = RecordedPiece(facts)
        if family.kind == .histogram {
            try readHistogram(&reader, family, into: &piece)
        } else {
            try readScalar(&reader, family.kind, into: &piece)
        }
        guard reader.isAtEnd else { throw .malformed }
        return piece
    }

    private static func flag(_ reader: inout RecordReader) throws(RecordFault) -> Bool {
        let byte = try reader.byte()
        guard byte <= 1 else { throw .malformed }
        return byte == 1
    }

    private static func readScalar(
        _ reader: inout RecordReader, _ kind: MetricFamilyKind, into piece: inout RecordedPiece
    ) throws(RecordFault) {
        if try flag(&reader) { piece.base = try reader.double() }
        let seconds = try seconds(&reader, first: piece.first)
        let values = try values(&reader, count: seconds.count)
        for (second, value) in zip(seconds, values) {
            piece.scalars.append(RecordedScalar(second: second, value: value, least: value, greatest: value))
        }
        guard kind != .counter else { return }
        var index: UInt64 = 0
        for _ in 0..<(try reader.count()) {
            index &+= try reader.unsigned()
            guard index < UInt64(seconds.count) else { throw .malformed }
            piece.scalars[Int(index)].least = try reader.double()
            piece.scalars[Int(index)].greatest = try reader.double()
        }
    }

    private static func seconds(_ reader: inout RecordReader, first: Int64) throws(RecordFault) -> [Int64] {
        var seconds: [Int64] = []
        var end = first
        for _ in 0..<(try reader.count()) {
            let (start, startOverflow) = end.addingReportingOverflow(try reader.signed())
            let length = try reader.unsigned()
            guard !startOverflow, length > 0, length <= UInt64(longestSeconds - seconds.count) else {
                throw .malformed
            }
            let (next, endOverflow) = start.addingReportingOverflow(Int64(length))
            guard !endOverflow else { throw .malformed }
            seconds.append(contentsOf: start..<next)
            end = next
        }
        return seconds
    }

    private static func values(_ reader: inout RecordReader, count: Int) throws(RecordFault) -> [Double] {
        guard count > 0 else { return [] }
        var values: [Double] = []
        values.reserveCapacity(count)
        if try flag(&reader) {
            var last: UInt64 = 0
            for _ in 0..<count {
                last ^= (try reader.unsigned()).byteSwapped
                values.append(Double(bitPattern: last))
            }
        } else {
            for _ in 0..<count { values.append(Double(try reader.signed())) }
        }
        return values
    }

    private static func readHistogram(
        _ reader: inout RecordReader, _ family: Family, into piece: inout RecordedPiece
    ) throws(RecordFault) {
        let bucketCount = family.bounds.count + 1
        if try flag(&reader) {
            piece.baseSum = try reader.double()
            piece.baseClassic = try classic(&reader, count: bucketCount)
            piece.base = piece.baseClassic.reduce(0, +)
        }
        let seconds = try seconds(&reader, first: piece.first)
        let sums = try values(&reader, count: seconds.count)
        let least = try values(&reader, count: seconds.count)
        let greatest = try values(&reader, count: seconds.count)
        for (row, second) in seconds.enumerated() {
            let head = try reader.unsigned()
            let schema = zigzagDecoded(head >> 1)
            guard (-8...Int64(ExponentialIndex.schema)).contains(schema) else { throw .malformed }
            piece.histograms.append(
                RecordedHistogram(
                    second: second, sum: sums[row], least: least[row], greatest: greatest[row],
                    classic: try classic(&reader, count: bucketCount), schema: Int8(schema),
                    buckets: try buckets(&reader), isEstimate: head & 1 == 1))
        }
    }

    private static func classic(_ reader: inout RecordReader, count: Int) throws(RecordFault) -> [Double] {
        var weights = Array(repeating: 0.0, count: count)
        var index: UInt64 = 0
        for _ in 0..<(try reader.count()) {
            index &+= try reader.unsigned()
            guard index < UInt64(count) else { throw .malformed }
            weights[Int(index)] = try reader.weight()
        }
        return weights
    }

    private static func buckets(_ reader: inout RecordReader) throws(RecordFault) -> [RecordedHistogram.Bucket] {
        var buckets: [RecordedHistogram.Bucket] = []
        var last: Int64 = 0
        for _ in 0..<(try reader.count()) {
            let (sum, overflow) = last.addingReportingOverflow(try reader.signed())
            guard !overflow, let index = Int16(exactly: sum), index != ExponentialBuckets.freeKey else {
                throw .malformed
            }
            buckets.append(RecordedHistogram.Bucket(index: index, weight: try reader.weight()))
            last = sum
        }
        return buckets
    }
}
