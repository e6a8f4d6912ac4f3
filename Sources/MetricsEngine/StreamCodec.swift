internal import Bytes
internal import Telemetry

/// The last points of cumulative streams as bodies of log records, and back.
///
/// Source: schemas/disk/metrics-log.md, "Streams".
enum StreamCodec {
    /// What follows in an entry.
    private enum Form: UInt8 {
        case whole = 0
        case number = 1
        case explicit = 2
        /// As `explicit`, with the bounds of the last histogram of the record.
        case sameBounds = 3
        case exponential = 4
    }

    // MARK: Writing

    /// A request: its window, then where its streams stand.
    static func encode(_ window: ClosedWindow) -> MetricsLogRecord {
        let changes = WindowCodec.encode(window)
        var writer = ByteWriter(reserving: changes.count + 8 + window.streams.count * 24)
        writer.writeVarint(UInt64(changes.count))
        writer.write(changes)
        write(window.streams.map(\.stream)[...], to: &writer)
        return MetricsLogRecord(kind: .points, body: writer.bytes)
    }

    /// All streams, in records of about `chunkBytes`.
    static func encode(_ streams: [PointStream], chunkBytes: Int) -> [MetricsLogRecord] {
        var records: [MetricsLogRecord] = []
        var first = 0
        while first < streams.count {
            var end = first
            var bytes = 0
            while end < streams.count, bytes < chunkBytes {
                bytes += 24 + streams[end].last.cells * 8
                end += 1
            }
            var writer = ByteWriter(reserving: bytes)
            write(streams[first..<end], to: &writer)
            records.append(MetricsLogRecord(kind: .streams, body: writer.bytes))
            first = end
        }
        return records
    }

    private static func write(_ streams: ArraySlice<PointStream>, to writer: inout ByteWriter) {
        writer.writeVarint(UInt64(streams.count))
        var last = EntryBefore()
        for stream in streams {
            writer.writeVarint(UInt64(stream.series))
            writer.writeVarint(zigzagEncoded(Int64(bitPattern: stream.start &- last.start)))
            writer.writeVarint(zigzagEncoded(Int64(bitPattern: stream.time &- last.time)))
            writer.writeVarint(zigzagEncoded(stream.seenSecond &- last.seenSecond))
            (last.start, last.time, last.seenSecond) = (stream.start, stream.time, stream.seenSecond)
            switch stream.last {
            case .number(let value): write(value, to: &writer)
            case .explicit(let point): write(point, &last, to: &writer)
            case .exponential(let point): write(point, to: &writer)
            }
        }
    }

    private static func write(_ value: Double, to writer: inout ByteWriter) {
        if WindowCodec.isWhole(value) {
            writer.write(Form.whole.rawValue)
            writer.writeVarint(zigzagEncoded(Int64(value)))
        } else {
            writer.write(Form.number.rawValue)
            writer.write(value.bitPattern)
        }
    }

    private static func write(_ point: ExplicitPoint, _ last: inout EntryBefore, to writer: inout ByteWriter) {
        if point.bounds == last.bounds {
            writer.write(Form.sameBounds.rawValue)
        } else {
            writer.write(Form.explicit.rawValue)
            writer.writeVarint(UInt64(point.bounds.count))
            for bound in point.bounds { writer.write(bound.bitPattern) }
            last.bounds = point.bounds
        }
        writer.writeVarint(point.count)
        writer.write(point.sum.bitPattern)
        writer.writeVarint(UInt64(point.counts.count))
        for count in point.counts { writer.writeVarint(count) }
    }

    private static func write(_ point: ExponentialPoint, to writer: inout ByteWriter) {
        writer.write(Form.exponential.rawValue)
        writer.writeVarint(point.count)
        writer.write(point.sum.bitPattern)
        writer.writeVarint(zigzagEncoded(Int64(point.scale)))
        writer.writeVarint(point.zeroCount)
        writer.writeVarint(zigzagEncoded(Int64(point.offset)))
        writer.writeVarint(UInt64(point.counts.count))
        for count in point.counts { writer.writeVarint(count) }
    }

    // MARK: Reading

    /// The window and the streams of a request; nil when the format is broken or a series is not there.
    static func decode(
        _ bytes: [UInt8], for store: borrowing MetricsStore
    ) -> (window: ClosedWindow, streams: [PointStream])? {
        do throws(RecordFault) {
            var reader = RecordReader(ByteReader(bytes.span.bytes), seriesCount: store.seriesCount)
            guard let window = WindowCodec.decode(try reader.text(), for: store) else { return nil }
            let streams = try read(&reader)
            return areThere(streams, store) && reader.isAtEnd ? (window, streams) : nil
        } catch { return nil }
    }

    static func decodeStreams(_ bytes: [UInt8], for store: borrowing MetricsStore) -> [PointStream]? {
        do throws(RecordFault) {
            var reader = RecordReader(ByteReader(bytes.span.bytes), seriesCount: store.seriesCount)
            let streams = try read(&reader)
            return areThere(streams, store) && reader.isAtEnd ? streams : nil
        } catch { return nil }
    }

    private static func areThere(_ streams: [PointStream], _ store: borrowing MetricsStore) -> Bool {
        for stream in streams where store.isVacant(Int(stream.series)) { return false }
        return true
    }

    private static func read(_ reader: inout RecordReader) throws(RecordFault) -> [PointStream] {
        var streams: [PointStream] = []
        var last = EntryBefore()
        for _ in 0..<(try reader.count()) {
            var none: UInt64 = 0
            let series = try reader.series(&none)
            last.start &+= UInt64(bitPattern: try reader.signed())
            last.time &+= UInt64(bitPattern: try reader.signed())
            last.seenSecond &+= try reader.signed()
            let state = try readState(&reader, &last)
            streams.append(
                PointStream(
                    series: series, start: last.start, time: last.time, seenSecond: last.seenSecond, last: state))
        }
        return streams
    }

    private static func readState(
        _ reader: inout RecordReader, _ last: inout EntryBefore
    ) throws(RecordFault) -> CumulativeState {
        switch Form(rawValue: try reader.byte()) {
        case .whole: return .number(Double(try reader.signed()))
        case .number: return .number(try reader.double())
        case .explicit:
            var bounds: [Double] = []
            for _ in 0..<(try reader.count()) { bounds.append(try reader.double()) }
            last.bounds = bounds
            return .explicit(try readExplicit(&reader, bounds))
        case .sameBounds:
            guard let bounds = last.bounds else { throw .malformed }
            return .explicit(try readExplicit(&reader, bounds))
        case .exponential: return .exponential(try readExponential(&reader))
        case nil: throw .malformed
        }
    }

    private static func readExplicit(
        _ reader: inout RecordReader, _ bounds: [Double]
    ) throws(RecordFault) -> ExplicitPoint {
        var point = ExplicitPoint()
        point.bounds = bounds
        point.count = try reader.unsigned()
        point.sum = try reader.double()
        for _ in 0..<(try reader.count()) { point.counts.append(try reader.unsigned()) }
        do throws(PointRejection) { try point.validate() } catch { throw .malformed }
        return point
    }

    private static func readExponential(_ reader: inout RecordReader) throws(RecordFault) -> ExponentialPoint {
        var point = ExponentialPoint()
        point.count = try reader.unsigned()
        point.sum = try reader.double()
        point.scale = Int(clamping: try reader.signed())
        point.zeroCount = try reader.unsigned()
        guard let offset = Int32(exactly: try reader.signed()) else { throw .malformed }
        point.offset = Int(offset)
        for _ in 0..<(try reader.count()) { point.counts.append(try reader.unsigned()) }
        do throws(PointRejection) { try point.validate() } catch { throw .malformed }
        return point
    }
}

/// What the next entry of a record refers to.
private struct EntryBefore {
    var start: UInt64 = 0
    var time: UInt64 = 0
    var seenSecond: Int64 = 0
    var bounds: [Double]?
}
