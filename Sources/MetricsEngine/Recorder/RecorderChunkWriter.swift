internal import Bytes
internal import Telemetry

/// Writes recorded series as chunks. Source: schemas/disk/recorder.md, "Chunk".
struct RecorderChunkWriter {
    static let chunkBytes = 512 << 10
    static let chunkSeries: UInt64 = 2_048
    /// Whole numbers below this are written as varints.
    private static let wholeLimit = 9_007_199_254_740_992.0

    private let first: Int64
    private var body = ByteWriter()
    private var record = ByteWriter()
    private var families = ByteWriter()
    private var familyNames: [String] = []
    private var familyCount: UInt64 = 0
    private var lastKind: MetricFamilyKind?
    private var seriesCount: UInt64 = 0
    private var valueCount: UInt64 = 0

    /// - Parameter first: the block's first second.
    init(first: Int64) { self.first = first }

    var isFull: Bool { body.count >= Self.chunkBytes || seriesCount >= Self.chunkSeries }

    /// What was appended since the last call; nil when there is nothing.
    mutating func take() -> RecorderChunk? {
        guard seriesCount > 0 else { return nil }
        var plain = ByteWriter(reserving: body.count + families.count + 16)
        plain.writeVarint(familyCount)
        plain.write(families.bytes)
        plain.writeVarint(seriesCount)
        plain.write(body.bytes)
        let chunk = RecorderChunk(
            firstFamily: Array((familyNames.first ?? "").utf8), lastFamily: Array((familyNames.last ?? "").utf8),
            seriesCount: seriesCount, valueCount: valueCount, plain: plain.bytes)
        self = RecorderChunkWriter(first: first)
        return chunk
    }

    /// Appends a series; those of one family must follow each other.
    mutating func append(_ series: RecordedSeries) {
        if familyNames.last != series.family || lastKind != series.kind { append(familyOf: series) }
        seriesCount += 1
        body.writeVarint(familyCount - 1)
        body.writeVarint(UInt64(series.labelText.count))
        body.write(series.labelText)
        record.bytes.removeAll(keepingCapacity: true)
        for piece in series.pieces.prefix(1) {
            valueCount += UInt64(piece.valueCount)
            if series.kind == .histogram { append(histogram: piece) } else { append(scalar: piece, series.kind) }
        }
        body.writeVarint(UInt64(record.count))
        body.write(record.bytes)
    }

    private mutating func append(familyOf series: RecordedSeries) {
        familyNames.append(series.family)
        lastKind = series.kind
        familyCount += 1
        families.writeVarint(UInt64(series.family.utf8.count))
        families.write(series.family)
        families.write(series.kind.rawValue)
        families.writeVarint(UInt64(series.bounds.count))
        for bound in series.bounds { families.write(bound.bitPattern) }
    }

    private mutating func append(scalar piece: RecordedPiece, _ kind: MetricFamilyKind) {
        append(base: piece.base)
        append(seconds: piece.scalars.map(\.second))
        append(values: piece.scalars.map(\.value))
        guard kind != .counter else { return }
        let spread = piece.scalars.indices.filter {
            let row = piece.scalars[$0]
            return row.least.bitPattern != row.value.bitPattern || row.greatest.bitPattern != row.value.bitPattern
        }
        record.writeVarint(UInt64(spread.count))
        var last = 0
        for index in spread {
            record.writeVarint(UInt64(index - last))
            record.write(piece.scalars[index].least.bitPattern)
            record.write(piece.scalars[index].greatest.bitPattern)
            last = index
        }
    }

    private mutating func append(base: Double?) {
        record.write(UInt8(base == nil ? 0 : 1))
        if let base { record.write(base.bitPattern) }
    }

    /// Runs of seconds that follow each other: distance from the run before, and length.
    private mutating func append(seconds: [Int64]) {
        var runs: [(start: Int64, length: UInt64)] = []
        for second in seconds {
            if let last = runs.last, last.start + Int64(last.length) == second {
                runs[runs.count - 1].length += 1
            } else {
                runs.append((second, 1))
            }
        }
        record.writeVarint(UInt64(runs.count))
        var end = first
        for run in runs {
            record.writeVarint(zigzagEncoded(run.start &- end))
            record.writeVarint(run.length)
            end = run.start &+ Int64(run.length)
        }
    }

    private static func isWhole(_ value: Double) -> Bool {
        value == value.rounded(.towardZero) && abs(value) < wholeLimit && !(value == 0 && value.sign == .minus)
    }

    private mutating func append(values: [Double]) {
        guard !values.isEmpty else { return }
        let isWhole = values.allSatisfy(Self.isWhole)
        record.write(UInt8(isWhole ? 0 : 1))
        if isWhole {
            for value in values { record.writeVarint(zigzagEncoded(Int64(value))) }
        } else {
            var last: UInt64 = 0
            for value in values {
                record.writeVarint((value.bitPattern ^ last).byteSwapped)
                last = value.bitPattern
            }
        }
    }

    private mutating func append(histogram piece: RecordedPiece) {
        record.write(UInt8(piece.base == nil ? 0 : 1))
        if piece.base != nil {
            record.write(piece.baseSum.bitPattern)
            append(classic: piece.baseClassic)
        }
        append(seconds: piece.histograms.map(\.second))
        append(values: piece.histograms.map(\.sum))
        append(values: piece.histograms.map(\.least))
        append(values: piece.histograms.map(\.greatest))
        for row in piece.histograms {
            record.writeVarint(zigzagEncoded(Int64(row.schema)) << 1 | (row.isEstimate ? 1 : 0))
            append(classic: row.classic)
            record.writeVarint(UInt64(row.buckets.count))
            var last: Int64 = 0
            for bucket in row.buckets {
                record.writeVarint(zigzagEncoded(Int64(bucket.index) - last))
                append(weight: bucket.weight)
                last = Int64(bucket.index)
            }
        }
    }

    private mutating func append(classic weights: [Double]) {
        record.writeVarint(UInt64(weights.count { $0 != 0 }))
        var last = 0
        for (index, weight) in weights.enumerated() where weight != 0 {
            record.writeVarint(UInt64(index - last))
            append(weight: weight)
            last = index
        }
    }

    private mutating func append(weight: Double) {
        if Self.isWhole(weight), weight >= 0 {
            record.writeVarint(UInt64(weight) << 1)
        } else {
            record.writeVarint(1)
            record.write(weight.bitPattern)
        }
    }
}

extension RecorderBlock: RecordableBlock {
    func forEachChunk(_ body: (RecorderChunk) -> Bool) {
        var writer = RecorderChunkWriter(first: facts.first)
        var goesOn = true
        forEachSeries { series in
            writer.append(series)
            if writer.isFull, let chunk = writer.take() { goesOn = body(chunk) }
            return goesOn
        }
        if goesOn, let chunk = writer.take() { _ = body(chunk) }
    }
}
