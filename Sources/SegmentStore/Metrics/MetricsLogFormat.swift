internal import Bytes
internal import Telemetry

/// Fixed numbers of the metrics log. Source: schemas/disk/metrics-log.md, "File".
enum MetricsLogFormat {
    static let headerBytes = 64
    static let groupHeaderBytes = 56
    static let fileMagic = Array("CRESTMET".utf8)
    static let groupMagic: UInt32 = 0x5247_4D43  // CMGR
    static let major: UInt16 = 1
    static let minor: UInt16 = 2
    /// Bit 0: removed series, whose numbers are given out anew. Bit 1: cumulative streams, expiry times of rules.
    static let incompatible: UInt16 = 3
    /// Most bytes of a group's frame, and of its records.
    static let groupLimit = 64 << 20
    /// Records are gathered into one group up to this.
    static let gatherBytes = 4 << 20

    static func padding(after count: Int) -> Int { (8 - count & 7) & 7 }
}

/// The first 64 bytes of a metrics log file.
struct MetricsLogHeader: Hashable {
    var number: UInt64
    var salt: UInt64
    var life: UInt64

    func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: MetricsLogFormat.headerBytes)
        writer.write(MetricsLogFormat.fileMagic)
        for field in [MetricsLogFormat.major, MetricsLogFormat.minor, 0, MetricsLogFormat.incompatible] {
            writer.write(field)
        }
        for field in [number, salt, life] { writer.write(field) }
        writer.write([UInt8](repeating: 0, count: 20))
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Nil for anything that this version does not know or that is damaged.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == MetricsLogFormat.headerBytes, bytes.starts(with: MetricsLogFormat.fileMagic) else {
            return nil
        }
        do throws(ByteReadError) {
            var reader = ByteReader(bytes.span.bytes)
            _ = try reader.skip(8)
            let major = try reader.read(UInt16.self)
            _ = try reader.skip(4)
            let incompatible = try reader.read(UInt16.self)
            number = try reader.read(UInt64.self)
            salt = try reader.read(UInt64.self)
            life = try reader.read(UInt64.self)
            _ = try reader.skip(20)
            let checksum = try reader.read(UInt32.self)
            guard checksum == crc32c(Array(bytes[..<60])) else { return nil }
            guard major == MetricsLogFormat.major, incompatible & ~MetricsLogFormat.incompatible == 0 else {
                return nil
            }
        } catch { return nil }
    }

    init(number: UInt64, salt: UInt64, life: UInt64) {
        self.number = number
        self.salt = salt
        self.life = life
    }
}

/// What stands before the payload of a group.
struct MetricsLogGroup: Hashable {
    var payloadBytes: UInt32 = 0
    var plainBytes: UInt32 = 0
    var recordCount: UInt32 = 0
    var index: UInt64
    var wall: UInt64
    /// Of this life, up to and with this group.
    var lines: UInt64
    /// At crashes, over all lives.
    var lost: UInt64
    var payloadChecksum: UInt32 = 0

    init(index: UInt64, wall: UInt64, lines: UInt64, lost: UInt64) {
        self.index = index
        self.wall = wall
        self.lines = lines
        self.lost = lost
    }

    func encoded(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(reserving: MetricsLogFormat.groupHeaderBytes)
        for field in [MetricsLogFormat.groupMagic, payloadBytes, plainBytes, recordCount] { writer.write(field) }
        for field in [index, wall, lines, lost] { writer.write(field) }
        writer.write(payloadChecksum)
        writer.write(Self.checksum(writer.bytes, salt: salt))
        return writer.bytes
    }

    private static func checksum(_ bytes: [UInt8], salt: UInt64) -> UInt32 {
        var salted = ByteWriter()
        salted.write(salt)
        return crc32c(bytes, continuing: crc32c(salted.bytes))
    }

    /// Nil when it is no group header of a file with this salt.
    init?(_ bytes: [UInt8], salt: UInt64) {
        guard bytes.count == MetricsLogFormat.groupHeaderBytes else { return nil }
        do throws(ByteReadError) {
            var reader = ByteReader(bytes.span.bytes)
            guard try reader.read(UInt32.self) == MetricsLogFormat.groupMagic else { return nil }
            payloadBytes = try reader.read(UInt32.self)
            plainBytes = try reader.read(UInt32.self)
            recordCount = try reader.read(UInt32.self)
            index = try reader.read(UInt64.self)
            wall = try reader.read(UInt64.self)
            lines = try reader.read(UInt64.self)
            lost = try reader.read(UInt64.self)
            payloadChecksum = try reader.read(UInt32.self)
            guard try reader.read(UInt32.self) == Self.checksum(Array(bytes.dropLast(4)), salt: salt) else {
                return nil
            }
        } catch { return nil }
        let limit = UInt32(MetricsLogFormat.groupLimit)
        guard payloadBytes <= limit, plainBytes <= limit else { return nil }
    }

    /// The bytes of the whole group; nil when the records are too large for one.
    static func encoded(_ records: [MetricsLogRecord], _ group: MetricsLogGroup, salt: UInt64) -> [UInt8]? {
        var plain = ByteWriter()
        for record in records {
            plain.write(record.kind.rawValue)
            plain.writeVarint(UInt64(record.body.count))
            plain.write(record.body)
        }
        guard plain.count <= MetricsLogFormat.groupLimit else { return nil }
        var payload: [UInt8] = []
        let isCompressed = plain.bytes.withUnsafeBytes { ZstdCompressor(level: 1).append($0, to: &payload) }
        guard isCompressed != nil, payload.count <= MetricsLogFormat.groupLimit else { return nil }
        var group = group
        group.payloadBytes = UInt32(payload.count)
        group.plainBytes = UInt32(plain.count)
        group.recordCount = UInt32(truncatingIfNeeded: records.count)
        group.payloadChecksum = crc32c(payload)
        let padding = [UInt8](repeating: 0, count: MetricsLogFormat.padding(after: payload.count))
        return group.encoded(salt: salt) + payload + padding
    }

    /// The records of a payload; nil when anything about it is wrong.
    func records(_ payload: [UInt8]) -> [MetricsLogRecord]? {
        guard crc32c(payload) == payloadChecksum else { return nil }
        let inflated = payload.withUnsafeBytes { try? zstdInflated($0, exactly: Int(plainBytes)) }
        guard let plain = inflated else { return nil }
        var records: [MetricsLogRecord] = []
        do throws(ByteReadError) {
            var reader = ByteReader(plain.span.bytes)
            while !reader.isAtEnd {
                guard let kind = MetricsLogRecord.Kind(rawValue: try reader.read(UInt8.self)) else { return nil }
                let size = try reader.readCount(limit: reader.remaining)
                records.append(MetricsLogRecord(kind: kind, body: try reader.readBytes(size)))
            }
        } catch { return nil }
        return records.count == Int(recordCount) ? records : nil
    }
}
