internal import Bytes

/// One live segment, as the manifest lists it: 56 bytes.
package struct ManifestSegment: Hashable, Sendable {
    package var id: UInt64
    package var firstSequence: UInt64
    package var lastSequence: UInt64
    package var spanCount: UInt64
    package var byteCount: UInt64
    /// Unix nanoseconds.
    package var latestArrival: UInt64
    package var level: UInt8

    package init(
        id: UInt64, firstSequence: UInt64, lastSequence: UInt64, spanCount: UInt64, byteCount: UInt64,
        latestArrival: UInt64, level: UInt8
    ) {
        self.id = id
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.spanCount = spanCount
        self.byteCount = byteCount
        self.latestArrival = latestArrival
        self.level = level
    }

    package var path: String {
        StorePath.segment(first: firstSequence, last: lastSequence, id: id, level: level)
    }
}

/// Where stored spans went when they are not live any more.
package struct RemovedSpans: Hashable, Sendable {
    package var expired: UInt64 = 0
    package var thinned: UInt64 = 0
    package var deleted: UInt64 = 0
    /// Repeated deliveries of a span that compaction found.
    package var merged: UInt64 = 0
    package var quarantined: UInt64 = 0
    package var lost: UInt64 = 0

    package init() {}
    /// Adds what a merge left out.
    mutating func add(_ merge: MergeResult) {
        deleted &+= merge.deleted
        merged &+= merge.repeated
        thinned &+= merge.thinned
    }

    package var total: UInt64 { expired &+ thinned &+ deleted &+ merged &+ quarantined &+ lost }
}

/// The segment list, the ledger terms and the clock's high-water mark.
///
/// Source: schemas/disk/manifest.md, "MANIFEST".
package struct Manifest: Hashable, Sendable {
    package static let magic: UInt64 = 0x4E41_4D54_5345_5243  // "CRESTMAN"
    package static let major: UInt16 = 1
    static let headerBytes = 136
    static let rowBytes = 56

    package var storeID: [UInt8]
    package var closedInOrder = false
    package var edition: UInt64 = 0
    /// Unix nanoseconds.
    package var clockHighWater: UInt64 = 0
    package var nextSegmentID: UInt64 = 1
    package var sealedSequence: UInt64 = 0
    /// Spans of all records up to `sealedSequence`.
    package var stored: UInt64 = 0
    package var removed = RemovedSpans()
    package var segments: [ManifestSegment] = []

    package init(storeID: [UInt8]) { self.storeID = storeID }

    package var liveSpans: UInt64 { segments.reduce(0) { $0 &+ $1.spanCount } }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Self.headerBytes + segments.count * Self.rowBytes)
        writer.write(Self.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(UInt32(closedInOrder ? 1 : 0))
        writer.write(storeID)
        let terms = [
            edition, clockHighWater, nextSegmentID, sealedSequence, stored, removed.expired, removed.thinned,
            removed.deleted, removed.quarantined, removed.lost, removed.merged,
        ]
        for term in terms { writer.write(term) }
        writer.write(UInt32(truncatingIfNeeded: segments.count))
        writer.write(crc32c(writer.bytes))
        for segment in segments { write(segment, to: &writer) }
        return writer.bytes
    }

    private func write(_ segment: ManifestSegment, to writer: inout ByteWriter) {
        let start = writer.count
        let fields = [
            segment.id, segment.firstSequence, segment.lastSequence, segment.spanCount, segment.byteCount,
            segment.latestArrival,
        ]
        for field in fields { writer.write(field) }
        writer.write(UInt32(segment.level))
        writer.write(Self.rowChecksum(Array(writer.bytes[start...]), edition: edition))
    }

    private static func rowChecksum(_ row: [UInt8], edition: UInt64) -> UInt32 {
        let seed = withUnsafeBytes(of: edition.littleEndian) { crc32c($0) }
        return crc32c(row, continuing: seed)
    }

    /// Nil when the bytes are damaged: the directory then says what is live.
    package static func decode(_ bytes: [UInt8]) throws(UnknownFormat) -> Manifest? {
        let found = bytes.withUnsafeBytes { bytes in
            Result { () throws(UnknownFormat) in try decode(bytes) }
        }
        return try found.get()
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) throws(UnknownFormat) -> Manifest? {
        guard bytes.count >= headerBytes else { return nil }
        let field = FieldReader(bytes: bytes, base: 0)
        guard field.u64(0) == magic, crc32c(field.slice(0..<132)) == field.u32(132) else { return nil }
        guard field.u16(8) == major, field.u32(12) == 0, field.u32(16) == 0 else {
            throw UnknownFormat(major: field.u16(8), incompatible: field.u32(16))
        }
        let count = Int(field.u32(128))
        guard field.u32(20) <= 1, bytes.count - headerBytes == count * rowBytes else { return nil }
        var manifest = Manifest(storeID: [UInt8](field.slice(24..<40)))
        manifest.closedInOrder = field.u32(20) == 1
        manifest.edition = field.u64(40)
        manifest.clockHighWater = field.u64(48)
        manifest.nextSegmentID = field.u64(56)
        manifest.sealedSequence = field.u64(64)
        manifest.stored = field.u64(72)
        manifest.removed.expired = field.u64(80)
        manifest.removed.thinned = field.u64(88)
        manifest.removed.deleted = field.u64(96)
        manifest.removed.quarantined = field.u64(104)
        manifest.removed.lost = field.u64(112)
        manifest.removed.merged = field.u64(120)
        for index in 0..<count {
            let row = FieldReader(bytes: bytes, base: headerBytes + index * rowBytes)
            guard let segment = segment(row, edition: manifest.edition) else { return nil }
            manifest.segments.append(segment)
        }
        return manifest
    }

    private static func segment(_ row: FieldReader, edition: UInt64) -> ManifestSegment? {
        guard rowChecksum([UInt8](row.slice(0..<52)), edition: edition) == row.u32(52), row.u32(48) <= 255 else {
            return nil
        }
        return ManifestSegment(
            id: row.u64(0), firstSequence: row.u64(8), lastSequence: row.u64(16), spanCount: row.u64(24),
            byteCount: row.u64(32), latestArrival: row.u64(40), level: UInt8(truncatingIfNeeded: row.u32(48)))
    }
}
