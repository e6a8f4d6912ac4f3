internal import Bytes
package import Telemetry

/// A batch ready to be logged: its sizes and the checksum of its payload, computed once by the thread that brought it.
package struct WALRecord: Sendable {
    package let batch: SpanBatch
    let tenant: [UInt8]
    let bodyBytes: Int
    let payloadChecksum: UInt32

    /// The most bytes one record may have; a group's length must fit 32 bits.
    static let byteLimit = 1 << 31

    /// Nil when the batch is too large for a record or its tenant's name too long.
    package init?(_ batch: SpanBatch) {
        let tenant = Array(batch.origin.tenant.utf8)
        let bodyBytes = SpanBatchCodec.bodyBytes(of: batch)
        guard tenant.count <= Int(UInt16.max), bodyBytes < Self.byteLimit else { return nil }
        self.batch = batch
        self.tenant = tenant
        self.bodyBytes = bodyBytes
        var checksum = crc32c(Self.paddedTenant(tenant))
        checksum = SpanBatchCodec.withPieces(of: batch) { pieces in
            pieces.reduce(checksum) { crc32c($1, continuing: $0) }
        }
        payloadChecksum = crc32c(Self.padding(after: bodyBytes), continuing: checksum)
    }

    /// Bytes in the file, with header and padding.
    package var byteCount: Int {
        WALFormat.recordHeaderBytes + WALFormat.padded(tenant.count) + WALFormat.padded(bodyBytes)
    }

    func header(sequence: UInt64) -> WALRecordHeader {
        WALRecordHeader(
            bodyBytes: UInt32(truncatingIfNeeded: bodyBytes), sequence: sequence, signal: WALFormat.spans,
            tenantBytes: UInt16(truncatingIfNeeded: tenant.count),
            spanCount: UInt32(truncatingIfNeeded: batch.spans.count), payloadChecksum: payloadChecksum)
    }

    static func paddedTenant(_ tenant: [UInt8]) -> [UInt8] { tenant + padding(after: tenant.count) }

    static func padding(after count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: WALFormat.padded(count) - count)
    }
}
