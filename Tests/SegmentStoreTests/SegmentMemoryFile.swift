import SegmentStore
import Synchronization
import Telemetry

/// A segment's bytes as a file that only reads.
final class SegmentMemoryFile: DiskFile, Sendable {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        guard count >= 0, offset <= UInt64(bytes.count), UInt64(count) <= UInt64(bytes.count) - offset else {
            throw DiskError(call: .read, path: "segment", code: DiskError.unexpectedEnd)
        }
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        throw DiskError(call: .append, path: "segment", code: 30)
    }
    func syncData() throws(DiskError) {}
    func preallocate(_ bytes: UInt64) throws(DiskError) {}
    func size() throws(DiskError) -> UInt64 { UInt64(bytes.count) }
    func close() {}
}

/// Encodes batches into bytes.
func segmentBytes(
    _ batches: [SpanBatch], identity: SegmentIdentity = SegmentIdentity(id: 1), blockSpans: Int = 8_192
) -> (bytes: [UInt8], summary: SegmentSummary) {
    var bytes: [UInt8] = []
    do {
        let summary = try SegmentEncoder(blockSpans: blockSpans).encode(batches, identity: identity) {
            (piece: [UInt8]) throws(DiskError) in bytes += piece
        }
        return (bytes, summary)
    } catch {
        return ([], SegmentSummary())
    }
}

func openSegment(_ bytes: [UInt8]) throws(SegmentError) -> SegmentReader {
    try SegmentReader(file: SegmentMemoryFile(bytes), name: "test")
}

/// All spans of a segment by tenant, in file order.
func allRecords(_ reader: SegmentReader) throws(SegmentError) -> [(tenant: String, span: SpanRecord)] {
    var records: [(tenant: String, span: SpanRecord)] = []
    try reader.allSpans { (tenant: String, spans: [SpanRecord]) throws(SegmentError) in
        for span in spans { records.append((tenant, span)) }
        return true
    }
    return records
}
