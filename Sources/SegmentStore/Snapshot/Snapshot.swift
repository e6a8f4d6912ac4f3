internal import Bytes

/// A snapshot: the store as it was after one sequence, in a folder of its own that is a whole data directory.
///
/// Valid when its `SNAPSHOT` file is whole: that is written last.
/// Source: schemas/disk/snapshot.md.
package struct Snapshot: Hashable, Sendable {
    package static let magic: UInt64 = 0x504E_5354_5345_5243  // "CRESTSNP"
    package static let major: UInt16 = 1
    package static let byteCount = 80

    /// 16 bytes.
    package var storeID: [UInt8]
    /// Unix nanoseconds.
    package var created: UInt64
    /// Every record up to this one is inside, and none after it.
    package var lastSequence: UInt64
    package var spans: UInt64
    /// Bytes of its segments; those that the store has as well take no room of their own.
    package var bytes: UInt64
    package var segments: UInt32
    /// CRC32C of its MANIFEST.
    package var manifestChecksum: UInt32

    package init(_ manifest: Manifest, created: UInt64) {
        storeID = manifest.storeID
        self.created = created
        lastSequence = manifest.sealedSequence
        spans = manifest.liveSpans
        bytes = manifest.segments.reduce(0) { $0 &+ $1.byteCount }
        segments = UInt32(truncatingIfNeeded: manifest.segments.count)
        manifestChecksum = crc32c(manifest.encoded())
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Self.byteCount)
        writer.write(Self.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(segments)
        writer.write(storeID)
        for field in [created, lastSequence, spans, bytes] { writer.write(field) }
        writer.write(manifestChecksum)
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Nil when the bytes are damaged.
    package static func decode(_ bytes: [UInt8]) throws(UnknownFormat) -> Snapshot? {
        let found = bytes.withUnsafeBytes { bytes in
            Result { () throws(UnknownFormat) in try decode(bytes) }
        }
        return try found.get()
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) throws(UnknownFormat) -> Snapshot? {
        guard bytes.count == byteCount else { return nil }
        let field = FieldReader(bytes: bytes, base: 0)
        guard field.u64(0) == magic, crc32c(field.slice(0..<76)) == field.u32(76) else { return nil }
        guard field.u16(8) == major, field.u32(12) == 0, field.u32(16) == 0 else {
            throw UnknownFormat(major: field.u16(8), incompatible: field.u32(16))
        }
        var snapshot = Snapshot(Manifest(storeID: [UInt8](field.slice(24..<40))), created: field.u64(40))
        snapshot.segments = field.u32(20)
        snapshot.lastSequence = field.u64(48)
        snapshot.spans = field.u64(56)
        snapshot.bytes = field.u64(64)
        snapshot.manifestChecksum = field.u32(72)
        return snapshot
    }
}

/// A snapshot in the data directory, under its name.
package struct NamedSnapshot: Hashable, Sendable {
    /// The folder's name below `snapshots/`: the UTC time of its making.
    package let id: String
    package let snapshot: Snapshot
}

/// Why no snapshot was made. What was made of it is removed now, or with the next one.
package enum SnapshotError: Error, Hashable, Sendable, CustomStringConvertible {
    case disk(DiskError)
    /// Spans in memory could not be sealed; they stay queryable and in the WAL.
    case notSealed
    case closed

    package var description: String {
        switch self {
        case .disk(let error): error.description
        case .notSealed: "the spans in memory could not be sealed; see the log"
        case .closed: "the store is closed"
        }
    }
}

extension StorePath {
    package static let snapshotDirectory = "snapshots"
    package static let snapshotMark = "SNAPSHOT"

    static func snapshot(_ id: String) -> String { "\(snapshotDirectory)/\(id)" }

    /// `20261125T200310.123Z`: sorts by time.
    static func snapshotID(created: UInt64) -> String {
        let millisecond = created / 1_000_000
        let second = millisecond / 1_000
        let (year, month, day) = date(daysSinceEpoch: second / 86_400)
        let time = [second / 3_600 % 24, second / 60 % 60, second % 60].map { padded($0, 2) }.joined()
        return "\(padded(year, 4))\(padded(month, 2))\(padded(day, 2))T\(time).\(padded(millisecond % 1_000, 3))Z"
    }

    /// Years that begin on 1 March, in eras of 400 years, which all have 146,097 days.
    private static func date(daysSinceEpoch: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        let shifted = daysSinceEpoch + 719_468
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + shifted / 146_097 * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func padded(_ value: UInt64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}
