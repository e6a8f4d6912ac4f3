internal import Bytes
package import Telemetry

/// The two messages of Prometheus remote write.
package enum RemoteWriteVersion: Hashable, Sendable {
    /// `prometheus.WriteRequest`: labels as texts, metadata apart.
    case one
    /// `io.prometheus.write.v2.Request`: labels as numbers of a table of symbols, metadata with its series.
    case two
}

/// Decodes a remote write request; the texts of the result are places in `body`.
///
/// Unknown fields are skipped, fields may come in any order. A series that passes a limit is marked and costs only
/// itself; whether labels and values make sense is for the engine to say.
/// - Throws: for bytes that are not this message, invalid UTF-8 and unknown symbols among them; nothing counts then.
/// - Source: schemas/wire/remote-write.md; prometheus prompb/types.proto, prompb/io/prometheus/write/v2/types.proto.
package func decodeRemoteWrite(
    _ body: [UInt8], version: RemoteWriteVersion
) throws(WireError) -> RemoteWriteBatch {
    let result = body.withUnsafeBytes { bytes in
        Result { () throws(WireError) in
            var decoder = RemoteWriteDecoder(body, bytes)
            if let cursor = ProtobufCursor(bytes) {
                switch version {
                case .one: try decoder.decodeWriteRequest(cursor)
                case .two: try decoder.decodeRequest(cursor)
                }
            }
            return decoder.batch
        }
    }
    return try result.get()
}

/// What both versions share: limits, samples, and the order of the arrays.
struct RemoteWriteDecoder {
    var batch: RemoteWriteBatch
    /// Of version 2.
    var symbols: [RemoteWriteBatch.Text] = []
    /// Buckets of all histograms so far.
    var buckets = 0
    private let bytes: UnsafeRawBufferPointer

    init(_ body: [UInt8], _ bytes: UnsafeRawBufferPointer) {
        batch = RemoteWriteBatch(body: body)
        self.bytes = bytes
    }

    /// A string field, checked and left where it is.
    func readText(_ cursor: inout ProtobufCursor) throws(WireError) -> RemoteWriteBatch.Text {
        let text = try cursor.readBytes()
        let start = cursor.offset - text.count
        if let bad = invalidUTF8Offset(text) { throw WireError(.invalidUTF8, at: start + bad) }
        return UInt32(truncatingIfNeeded: start)..<UInt32(truncatingIfNeeded: cursor.offset)
    }

    /// The bytes of a text, borrowed.
    func borrowed(_ text: RemoteWriteBatch.Text) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[Int(text.lowerBound)..<Int(text.upperBound)])
    }

    func readTime(_ cursor: inout ProtobufCursor) throws(WireError) -> Int64 {
        Int64(bitPattern: try cursor.readVarint())
    }

    // MARK: Series

    /// Where the next series begins in every array.
    func newSeries() -> RemoteWriteBatch.Series {
        var series = RemoteWriteBatch.Series()
        series.labels = batch.labels.count..<batch.labels.count
        series.samples = batch.samples.count..<batch.samples.count
        series.histograms = batch.histograms.count..<batch.histograms.count
        series.exemplars = batch.exemplars.count..<batch.exemplars.count
        return series
    }

    /// Takes the series whose parts stand at the end of the arrays.
    mutating func finish(_ open: RemoteWriteBatch.Series) {
        var series = open
        series.labels = series.labels.lowerBound..<batch.labels.count
        series.samples = series.samples.lowerBound..<batch.samples.count
        series.histograms = series.histograms.lowerBound..<batch.histograms.count
        series.exemplars = series.exemplars.lowerBound..<batch.exemplars.count
        let points = series.samples.count + series.histograms.count
        guard batch.series.count < Limits.pointsPerRequest else {
            batch.labels.removeSubrange(series.labels)
            batch.samples.removeSubrange(series.samples)
            batch.histograms.removeSubrange(series.histograms)
            batch.exemplars.removeSubrange(series.exemplars)
            batch.leftOut += points
            return
        }
        batch.series.append(series)
    }

    mutating func add(_ label: RemoteWriteBatch.Label, to series: inout RemoteWriteBatch.Series) {
        guard batch.labels.count - series.labels.lowerBound < Limits.attributesPerPoint,
            batch.labels.count < Limits.labelsPerWrite
        else {
            series.defect = .tooManyAttributes
            return
        }
        batch.labels.append(label)
    }

    private var hasRoom: Bool { batch.samples.count + batch.histograms.count < Limits.pointsPerRequest }

    mutating func decodeSample(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var sample = RemoteWriteBatch.Sample()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(1): sample.value = Double(bitPattern: try cursor.readFixed64())
            case varintTag(2): sample.time = try readTime(&cursor)
            case varintTag(3): sample.start = try readTime(&cursor)
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        if hasRoom { batch.samples.append(sample) } else { batch.leftOut += 1 }
    }

    mutating func decodeHistogram(_ message: ProtobufCursor) throws(WireError) {
        var draft = NativeHistogramDraft()
        try draft.decode(message)
        guard hasRoom else {
            batch.leftOut += 1
            return
        }
        let histogram = draft.finished(room: Limits.bucketsPerWrite - buckets)
        switch histogram.content {
        case .exponential(let point): buckets += point.counts.count
        case .explicit(let point): buckets += point.counts.count
        }
        batch.histograms.append(histogram)
    }

    /// - Parameter trace: the value of the label `trace_id`.
    mutating func add(
        exemplar trace: RemoteWriteBatch.Text?, span: RemoteWriteBatch.Text?, _ value: Double, _ time: Int64
    ) {
        guard let trace, batch.exemplars.count < Limits.pointsPerRequest else { return }
        guard let id = TraceID(hex: borrowed(trace)) else { return }
        var exemplar = Exemplar(
            traceID: id, value: value, nanoseconds: time.multipliedReportingOverflow(by: 1_000_000).partialValue)
        if let span, let id = SpanID(hex: borrowed(span)) { exemplar.spanID = id }
        batch.exemplars.append(exemplar)
    }
}
