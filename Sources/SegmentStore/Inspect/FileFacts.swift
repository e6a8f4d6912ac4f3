internal import Telemetry

/// What one file of a data directory is and holds, found out from its first bytes. Changes nothing.
package enum FileFacts: Sendable {
    case segment(SegmentFacts, columns: [ColumnFacts])
    case wal(WALFacts)
    case manifest(Manifest)
    case meta(StoreMeta)
    case tombstones(TombstoneFacts)
    case metricsLog(MetricsLogFacts)
    case snapshot(Snapshot)

    /// - Throws: ``InspectionError``; for a segment that cannot be read what is wrong with it.
    package init(_ path: String, _ disk: any Disk) throws {
        let bytes: [UInt8]
        let file = try disk.open(path)
        defer { file.close() }
        let size = try file.size()
        bytes = try file.read(at: 0, count: Int(min(8, size)))
        switch String(decoding: bytes, as: UTF8.self) {
        case "CRESTSEG":
            let reader = try SegmentReader(file: try disk.open(path), name: path)
            self = .segment(SegmentFacts(reader, path: path), columns: try reader.columnFacts())
        case "CRESTWAL": self = .wal(try WALFacts(path, disk))
        case "CRESTMAN": self = .manifest(try Self.small(path, disk, Manifest.decode))
        case "CRESTDIR": self = .meta(try Self.small(path, disk, StoreMeta.decode))
        case "CRESTSNP": self = .snapshot(try Self.small(path, disk, Snapshot.decode))
        case "CRESTDEL": self = .tombstones(try TombstoneFacts(try disk.readAll(path, limit: 1 << 30)))
        case "CRESTMET":
            guard let facts = try MetricsLogFacts(path, disk) else { throw InspectionError.damaged(path) }
            self = .metricsLog(facts)
        default: throw InspectionError.unknown(path)
        }
    }

    private static func small<Value>(
        _ path: String, _ disk: any Disk, _ decode: ([UInt8]) throws(UnknownFormat) -> Value?
    ) throws -> Value {
        let bytes = try disk.readAll(path, limit: 1 << 30)
        do throws(UnknownFormat) {
            if let value = try decode(bytes) { return value }
        } catch { throw InspectionError.unknownFormat(path, error.major) }
        throw InspectionError.damaged(path)
    }
}

/// Why a file was not looked into.
package enum InspectionError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknown(String)
    case damaged(String)
    case unknownFormat(String, UInt16)

    package var description: String {
        switch self {
        case .unknown(let path): "\(path) does not begin like a file of a data directory"
        case .damaged(let path): "\(path) is damaged: its checksum does not hold"
        case .unknownFormat(let path, let major): "\(path) has format \(major), which this version does not know"
        }
    }
}

/// TOMBSTONES in numbers.
package struct TombstoneFacts: Hashable, Sendable {
    package let traces: Int
    /// Unix nanoseconds of the deletions; nil when there are none.
    package let created: ClosedRange<UInt64>?
    package let lastSequence: UInt64

    init(_ bytes: [UInt8]) throws {
        // The file names its store itself: nothing here to compare it with.
        let storeID = bytes.count >= 40 ? Array(bytes[24..<40]) : []
        guard let found = try Tombstones.decode(bytes, storeID: storeID) else {
            throw InspectionError.damaged(StorePath.tombstones)
        }
        traces = found.marks.count
        let times = found.marks.values.map(\.created)
        created = times.min().flatMap { low in times.max().map { low...$0 } }
        lastSequence = found.marks.values.map(\.sequence).max() ?? 0
    }
}

/// A metrics log file in numbers.
package struct MetricsLogFacts: Hashable, Sendable {
    package let path: String
    package let byteCount: UInt64
    package let number: UInt64
    /// Starts of the daemon until this file.
    package let life: UInt64
    package private(set) var groups = 0
    package private(set) var records = 0
    package private(set) var hasCheckpoint = false
    /// Unix nanoseconds of the first and last valid group.
    package private(set) var firstWall: UInt64?
    package private(set) var lastWall: UInt64?
    /// Lines of this life up to the last group, and lines lost at crashes over all lives.
    package private(set) var lines: UInt64 = 0
    package private(set) var lostLines: UInt64 = 0
    /// Bytes of no valid group, and whether a valid one follows them.
    package private(set) var damage: Range<UInt64>?
    package private(set) var isCorrupt = false

    /// Nil when the header is damaged.
    init?(_ path: String, _ disk: any Disk) throws(DiskError) {
        self.path = path
        let file = try disk.open(path)
        defer { file.close() }
        byteCount = try file.size()
        guard var reader = try MetricsLogReader(file) else { return nil }
        number = reader.header.number
        life = reader.header.life
        while let found = try reader.next() {
            groups += 1
            records += found.count
            if found.contains(where: { $0.kind == .checkpointEnd }) { hasCheckpoint = true }
            guard let group = reader.last else { continue }
            firstWall = firstWall ?? group.wall
            lastWall = group.wall
            lines = group.lines
            lostLines = group.lost
        }
        guard reader.offset < byteCount else { return }
        damage = reader.offset..<byteCount
        isCorrupt = try reader.ending() == .corrupt
    }
}
