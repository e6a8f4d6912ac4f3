internal import Telemetry

/// A native histogram while its fields arrive, in any order: the same message in both versions.
///
///     spans   (3, 2) (1, 1)    offset of the first bucket or gap since the last span, buckets
///     deltas  1, 2, -1         counts 1, 3, 2 of the buckets 3, 4 and 6
///
/// Bucket `i` of schema `s` holds `(2^((i-1)/2^s), 2^(i/2^s)]`; of schema -53 up to the i-th custom bound.
/// Source: schemas/wire/remote-write.md, "Native histograms".
struct NativeHistogramDraft {
    private static let customBounds = -53
    /// Of reset hints.
    private static let gauge: UInt64 = 3

    private var count: UInt64 = 0
    private var sum = 0.0
    private var schema = 0
    private var zeroCount: UInt64 = 0
    private var spans: [(offset: Int, length: Int)] = []
    private var counts: [UInt64] = []
    private var running: Int64 = 0
    private var customValues: [Double] = []
    private var hasNegativeBuckets = false
    private var time: Int64 = 0
    private var start: Int64 = 0
    private var defect: PointRejection?

    mutating func decode(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case varintTag(1): count = try cursor.readVarint()
            case fixed64Tag(2): count = whole(Double(bitPattern: try cursor.readFixed64()))
            case fixed64Tag(3): sum = Double(bitPattern: try cursor.readFixed64())
            case varintTag(4): schema = Int(Int32(truncatingIfNeeded: zigZagged(try cursor.readVarint())))
            case fixed64Tag(5): _ = try cursor.readFixed64()
            case varintTag(6): zeroCount = try cursor.readVarint()
            case fixed64Tag(7): zeroCount = whole(Double(bitPattern: try cursor.readFixed64()))
            case varintTag(14): if try cursor.readVarint() == Self.gauge { defect = .gaugeHistogram }
            case varintTag(15): time = Int64(bitPattern: try cursor.readVarint())
            case varintTag(17): start = Int64(bitPattern: try cursor.readVarint())
            default: try decodeBuckets(tag, &cursor)
            }
        }
    }

    private mutating func decodeBuckets(_ tag: UInt32, _ cursor: inout ProtobufCursor) throws(WireError) {
        switch tag {
        case bytesTag(8), bytesTag(9), bytesTag(10):
            if try !cursor.readMessage().isAtEnd { hasNegativeBuckets = true }
        case varintTag(9), fixed64Tag(10):
            try cursor.skip(tag, known: 0)
            hasNegativeBuckets = true
        case bytesTag(11): try decodeSpan(try cursor.readMessage())
        case bytesTag(12):
            var list = try cursor.readMessage()
            while !list.isAtEnd { append(delta: zigZagged(try list.readVarint())) }
        case varintTag(12): append(delta: zigZagged(try cursor.readVarint()))
        case bytesTag(13):
            var list = try cursor.readMessage()
            while !list.isAtEnd { append(whole(Double(bitPattern: try list.readFixed64()))) }
        case fixed64Tag(13): append(whole(Double(bitPattern: try cursor.readFixed64())))
        case bytesTag(16):
            var list = try cursor.readMessage()
            while !list.isAtEnd { append(bound: Double(bitPattern: try list.readFixed64())) }
        case fixed64Tag(16): append(bound: Double(bitPattern: try cursor.readFixed64()))
        default: try cursor.skip(tag, known: 0b11_1111_1111_1111_1110)
        }
    }

    private mutating func decodeSpan(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var span = (offset: 0, length: 0)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case varintTag(1): span.offset = Int(Int32(truncatingIfNeeded: zigZagged(try cursor.readVarint())))
            case varintTag(2): span.length = Int(UInt32(truncatingIfNeeded: try cursor.readVarint()))
            default: try cursor.skip(tag, known: 0b110)
            }
        }
        if spans.count < Limits.bucketsPerPoint { spans.append(span) } else { defect = .tooManyBuckets }
    }

    private func zigZagged(_ bits: UInt64) -> Int64 { Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1) }

    /// Float histograms are taken as far as their counts are whole.
    private mutating func whole(_ value: Double) -> UInt64 {
        guard let count = UInt64(exactly: value), count <= 1 << 53 else {
            defect = .badBuckets
            return 0
        }
        return count
    }

    private mutating func append(delta: Int64) {
        let (next, overflow) = running.addingReportingOverflow(delta)
        guard !overflow, next >= 0 else {
            defect = .badBuckets
            return
        }
        running = next
        append(UInt64(next))
    }

    private mutating func append(_ count: UInt64) {
        if counts.count < Limits.bucketsPerPoint { counts.append(count) } else { defect = .tooManyBuckets }
    }

    private mutating func append(bound: Double) {
        if customValues.count < Limits.bucketsPerPoint { customValues.append(bound) } else { defect = .tooManyBuckets }
    }

    // MARK: The point

    /// - Parameter room: buckets that the request may still have.
    func finished(room: Int) -> RemoteWriteBatch.Histogram {
        var histogram = RemoteWriteBatch.Histogram()
        (histogram.time, histogram.start, histogram.defect) = (time, start, defect)
        do throws(PointRejection) {
            let places = try places()
            if schema == Self.customBounds {
                histogram.content = .explicit(try explicit(places, room))
            } else {
                histogram.content = .exponential(try exponential(places, room))
            }
        } catch {
            var empty = ExponentialPoint()
            empty.sum = sum
            histogram.content = .exponential(empty)
            histogram.defect = histogram.defect ?? error
        }
        return histogram
    }

    /// The bucket of each count, ascending.
    private func places() throws(PointRejection) -> [Int] {
        var places: [Int] = []
        var next = 0
        for (index, span) in spans.enumerated() {
            guard index == 0 || span.offset >= 0, span.length <= counts.count - places.count else { throw .badBuckets }
            next += span.offset
            places.append(contentsOf: next..<(next + span.length))
            next += span.length
        }
        guard places.count == counts.count else { throw .badBuckets }
        return places
    }

    /// Sparse buckets become a row; where that is too long, buckets twice as wide.
    private func exponential(_ places: [Int], _ room: Int) throws(PointRejection) -> ExponentialPoint {
        var point = ExponentialPoint()
        (point.count, point.sum, point.zeroCount, point.scale) = (count, sum, zeroCount, schema)
        point.hasNegativeCounts = hasNegativeBuckets
        guard (-4...8).contains(schema) else { throw .badScale }
        guard let first = places.first, let last = places.last else { return point }
        // Prometheus counts buckets from the one up to 1, OTLP from the one above 1.
        var shift = 0
        while (last - 1) >> shift - (first - 1) >> shift >= Limits.bucketsPerPoint { shift += 1 }
        point.scale = schema - shift
        point.offset = (first - 1) >> shift
        let length = (last - 1) >> shift - point.offset + 1
        guard length <= room else { throw .tooManyBuckets }
        point.counts = Array(repeating: 0, count: length)
        for (place, count) in zip(places, counts) { point.counts[(place - 1) >> shift - point.offset] &+= count }
        return point
    }

    private func explicit(_ places: [Int], _ room: Int) throws(PointRejection) -> ExplicitPoint {
        guard !hasNegativeBuckets, zeroCount == 0 else { throw .negativeBuckets }
        guard customValues.count + 1 <= room else { throw .tooManyBuckets }
        var point = ExplicitPoint()
        (point.count, point.sum, point.bounds) = (count, sum, customValues)
        point.counts = Array(repeating: 0, count: customValues.count + 1)
        for (place, count) in zip(places, counts) {
            guard point.counts.indices.contains(place) else { throw .badBuckets }
            point.counts[place] = count
        }
        return point
    }
}
