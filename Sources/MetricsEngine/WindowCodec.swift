internal import Bytes

/// A closed window as the body of a log record, and back.
///
/// Source: schemas/disk/metrics-log.md, "Window".
enum WindowCodec {
    /// Whole numbers below this are written as varints.
    private static let wholeLimit = 9_007_199_254_740_992.0
    private static let schemas: ClosedRange<Int64> = -8...Int64(ExponentialIndex.schema)

    // MARK: Writing

    static func encode(_ window: ClosedWindow) -> [UInt8] {
        var writer = ByteWriter(reserving: 16 + window.scalars.count * 6 + window.histograms.bytes)
        writer.writeVarint(zigzagEncoded(window.second))
        write(window.scalars.sorted { $0.series < $1.series }, to: &writer)
        write(window.histograms, window.classicCounts, to: &writer)
        let sets = window.sets.map(\.series).sorted()
        writer.writeVarint(UInt64(sets.count))
        var last: UInt32 = 0
        for series in sets {
            writer.writeVarint(UInt64(series - last))
            last = series
        }
        return writer.bytes
    }

    private static func write(_ scalars: [ScalarChange], to writer: inout ByteWriter) {
        writer.writeVarint(UInt64(scalars.count))
        var last: UInt32 = 0
        for scalar in scalars {
            let isWhole = isWhole(scalar.value)
            let flags: UInt64 = (scalar.isLevel ? 2 : 0) | (isWhole ? 1 : 0)
            writer.writeVarint(UInt64(scalar.series - last) << 2 | flags)
            if isWhole {
                writer.writeVarint(zigzagEncoded(Int64(scalar.value)))
            } else {
                writer.write(scalar.value.bitPattern)
            }
            last = scalar.series
        }
    }

    /// A negative zero keeps its sign, and with it its bits.
    static func isWhole(_ value: Double) -> Bool {
        value == value.rounded(.towardZero) && abs(value) < wholeLimit && !(value == 0 && value.sign == .minus)
    }

    private static func write(_ histograms: HistogramSecond, _ classic: [Double], to writer: inout ByteWriter) {
        var offsets: [Int] = []
        var offset = 0
        for part in histograms.parts {
            offsets.append(offset)
            offset += ClassicBounds.shared.bucketCount(Int(part.layout))
        }
        writer.writeVarint(UInt64(histograms.parts.count))
        var last: UInt32 = 0
        let parts = histograms.parts
        for index in parts.indices.sorted(by: { parts[$0].series < parts[$1].series }) {
            let part = histograms.parts[index]
            writer.writeVarint(UInt64(part.series - last))
            last = part.series
            writer.write(writtenLayout(of: part))
            writer.writeVarint(zigzagEncoded(Int64(part.schema)))
            for value in [part.sum, part.least, part.greatest] { writer.write(value.bitPattern) }
            let count = ClassicBounds.shared.bucketCount(Int(part.layout))
            writeClassic(classic[offsets[index]..<offsets[index] + count], to: &writer)
            writeBuckets(part, of: histograms, to: &writer)
        }
    }

    /// An estimate's classic counts go by its family's bounds.
    private static func writtenLayout(of part: HistogramSecond.Part) -> UInt8 {
        if part.isEstimate { return DefinitionCodec.estimate }
        return part.layout < DefinitionCodec.sharedLayouts ? part.layout : DefinitionCodec.ownLayout
    }

    private static func writeClassic(_ weights: ArraySlice<Double>, to writer: inout ByteWriter) {
        let used = weights.indices.filter { weights[$0] != 0 }
        writer.writeVarint(UInt64(used.count))
        var last = weights.startIndex
        for index in used {
            writer.writeVarint(UInt64(index - last))
            write(weight: weights[index], to: &writer)
            last = index
        }
    }

    private static func writeBuckets(
        _ part: HistogramSecond.Part, of histograms: HistogramSecond, to writer: inout ByteWriter
    ) {
        var buckets: [(index: Int16, weight: Double)] = []
        buckets.reserveCapacity(Int(part.bucketCount))
        histograms.forEachBucket(of: part) { buckets.append(($0, $1)) }
        buckets.sort { $0.index < $1.index }
        writer.writeVarint(UInt64(buckets.count))
        var last = 0
        for bucket in buckets {
            writer.writeVarint(zigzagEncoded(Int64(Int(bucket.index) - last)))
            write(weight: bucket.weight, to: &writer)
            last = Int(bucket.index)
        }
    }

    private static func write(weight: Double, to writer: inout ByteWriter) {
        if isWhole(weight), weight >= 0 {
            writer.writeVarint(UInt64(weight) << 1)
        } else {
            writer.writeVarint(1)
            writer.write(weight.bitPattern)
        }
    }

    // MARK: Reading

    /// The window of a record; nil when it breaks the format or names a series that `store` does not know.
    static func decode(_ bytes: [UInt8], for store: borrowing MetricsStore) -> ClosedWindow? {
        do { return try decodeOrThrow(bytes, store) } catch { return nil }
    }

    private static func decodeOrThrow(
        _ bytes: [UInt8], _ store: borrowing MetricsStore
    ) throws(RecordFault) -> ClosedWindow {
        var reader = RecordReader(ByteReader(bytes.span.bytes), seriesCount: store.seriesCount)
        let second = try reader.signed()
        let scalars = try readScalars(&reader)
        var classic: [Double] = []
        let histograms = try readHistograms(&reader, store, &classic)
        var sets: [(series: UInt32, members: DistinctSet)] = []
        var last: UInt64 = 0
        for _ in 0..<(try reader.count()) { sets.append((try reader.series(&last), DistinctSet())) }
        guard reader.isAtEnd else { throw .malformed }
        return ClosedWindow(
            second: second, scalars: scalars, histograms: histograms, classicCounts: classic, sets: sets)
    }

    private static func readScalars(_ reader: inout RecordReader) throws(RecordFault) -> [ScalarChange] {
        var scalars: [ScalarChange] = []
        let count = try reader.count()
        scalars.reserveCapacity(count)
        var last: UInt64 = 0
        for _ in 0..<count {
            let head = try reader.unsigned()
            let series = try reader.series(step: head >> 2, &last)
            let value = head & 1 == 1 ? Double(try reader.signed()) : try reader.double()
            scalars.append(ScalarChange(value: value, series: series, isLevel: head & 2 == 2))
        }
        return scalars
    }

    private static func readHistograms(
        _ reader: inout RecordReader, _ store: borrowing MetricsStore, _ classic: inout [Double]
    ) throws(RecordFault) -> HistogramSecond {
        var histograms = HistogramSecond()
        var last: UInt64 = 0
        for _ in 0..<(try reader.count()) {
            let series = try reader.series(&last)
            let written = try reader.byte()
            let schema = try reader.signed()
            let isEstimate = written == DefinitionCodec.estimate
            let isOwn = isEstimate || written == DefinitionCodec.ownLayout
            let layout = isOwn ? store.layout(of: series) : written
            guard let layout, ClassicBuckets(rawValue: layout) != nil, schemas.contains(schema) else {
                throw .malformed
            }
            let part = HistogramSecond.Part(
                sum: try reader.double(), least: try reader.double(), greatest: try reader.double(), series: series,
                firstWord: 0, bucketCount: 0, schema: Int8(schema), isWide: false, layout: layout,
                isEstimate: isEstimate)
            try readClassic(&reader, count: ClassicBounds.shared.bucketCount(Int(layout)), into: &classic)
            try readBuckets(&reader, of: part, into: &histograms)
        }
        return histograms
    }

    private static func readClassic(
        _ reader: inout RecordReader, count: Int, into classic: inout [Double]
    ) throws(RecordFault) {
        let first = classic.count
        classic.append(contentsOf: repeatElement(0, count: count))
        var index: UInt64 = 0
        for _ in 0..<(try reader.count()) {
            index &+= try reader.unsigned()
            guard index < UInt64(count) else { throw .malformed }
            classic[first + Int(index)] = try reader.weight()
        }
    }

    private static func readBuckets(
        _ reader: inout RecordReader, of part: HistogramSecond.Part, into histograms: inout HistogramSecond
    ) throws(RecordFault) {
        let count = try reader.count()
        guard count <= Int(UInt16.max) else { throw .malformed }
        var buckets: [(index: Int16, weight: Double)] = []
        buckets.reserveCapacity(count)
        var last: Int64 = 0
        for _ in 0..<count {
            let step = try reader.signed()
            guard let index = Int16(exactly: last &+ step), index != ExponentialBuckets.freeKey else {
                throw .malformed
            }
            buckets.append((index, try reader.weight()))
            last = Int64(index)
        }
        histograms.append(part, buckets: buckets)
    }
}
