internal import Bytes
internal import Telemetry

/// The WAL file that is growing. Owned by the committer and used under its lock only; after any throw it must not be
/// used again.
///
/// Source: schemas/disk/wal.md.
final class WALWriter: @unchecked Sendable {
    let header: WALFileHeader
    let path: String
    private let file: any DiskFile
    private(set) var byteCount: UInt64

    /// Records smaller than this are gathered into one piece; larger ones are written from where they lie.
    private static let gatherBytes = 16 << 10

    private init(header: WALFileHeader, path: String, file: any DiskFile) {
        self.header = header
        self.path = path
        self.file = file
        byteCount = UInt64(WALFormat.firstGroup)
    }

    /// Creates the file of `header.firstSequence`, durable with its name and without groups. It replaces a file of the
    /// same name, which then held nothing durable.
    static func create(_ header: WALFileHeader, on disk: any Disk) throws(DiskError) -> WALWriter {
        let path = StorePath.wal(firstSequence: header.firstSequence)
        let draft = path + StorePath.draftSuffix
        let file = try disk.createDraft(draft)
        // Without room for it the file grows as it is written.
        do { try file.preallocate(UInt64(Limits.groupBytes)) } catch { guard error.isFull else { throw error } }
        let bytes = header.encoded()
        try file.append(bytes + bytes)
        try file.syncData()
        try disk.rename(draft, to: path)
        try disk.syncDirectory(StorePath.walDirectory)
        return WALWriter(header: header, path: path, file: file)
    }

    /// Appends one group holding the records, whose first gets `firstSequence`. Not synced yet.
    func append(
        _ records: [WALRecord], firstSequence: UInt64, durableSequence: UInt64, spansBefore: UInt64, wall: UInt64
    ) throws(DiskError) {
        let overhead = WALFormat.groupHeaderBytes + WALFormat.trailerBytes
        let groupBytes = records.reduce(overhead) { $0 + $1.byteCount }
        let group = WALGroupHeader(
            byteCount: UInt32(truncatingIfNeeded: groupBytes), firstSequence: firstSequence,
            durableSequence: durableSequence, spansBefore: spansBefore, wall: wall,
            recordCount: UInt32(truncatingIfNeeded: records.count),
            spanCount: UInt32(truncatingIfNeeded: records.reduce(0) { $0 + $1.batch.spans.count }))
        var gathered = group.encoded(salt: header.salt)
        var checksums: [UInt8] = []
        for (index, record) in records.enumerated() {
            let head = record.header(sequence: firstSequence &+ UInt64(index)).encoded(salt: header.salt)
            checksums += head[0..<4]
            withUnsafeBytes(of: record.payloadChecksum.littleEndian) { checksums.append(contentsOf: $0) }
            gathered += head
            gathered += WALRecord.paddedTenant(record.tenant)
            try write(record, &gathered)
            gathered += WALRecord.padding(after: record.bodyBytes)
        }
        let trailer = WALTrailer(recordCount: group.recordCount, recordChecksums: crc32c(checksums))
        gathered += trailer.encoded(salt: header.salt)
        try file.append(gathered)
        byteCount += UInt64(groupBytes)
    }

    /// Adds a small body to `gathered`; writes out `gathered` and a large body.
    private func write(_ record: WALRecord, _ gathered: inout [UInt8]) throws(DiskError) {
        if record.bodyBytes < Self.gatherBytes {
            SpanBatchCodec.withPieces(of: record.batch) { pieces in
                for piece in pieces { gathered.append(contentsOf: piece) }
            }
            return
        }
        let result = SpanBatchCodec.withPieces(of: record.batch) { pieces in
            gathered.withUnsafeBytes { before in
                Result { () throws(DiskError) in try file.append([before] + pieces) }
            }
        }
        try result.get()
        gathered.removeAll(keepingCapacity: true)
    }

    func sync() throws(DiskError) { try file.syncData() }
    func close() { file.close() }
}
