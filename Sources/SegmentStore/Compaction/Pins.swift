internal import Bytes
internal import Telemetry

/// Traces that neither age nor bytes remove: what is stored of them and what still comes.
///
/// Source: schemas/disk/manifest.md, "PINS".
package struct Pins: Hashable, Sendable {
    package typealias Key = Tombstones.Key

    /// At most this many; more are refused until some are taken out.
    package static let limit = 10_000
    package static let magic: UInt64 = 0x4E49_5054_5345_5243  // "CRESTPIN"
    package static let major: UInt16 = 1
    static let headerBytes = 48

    /// When each was pinned, unix nanoseconds.
    package var marks: [Key: UInt64] = [:]

    package init() {}

    package var isEmpty: Bool { marks.isEmpty }

    func holds(_ traceID: TraceID, tenant: String) -> Bool {
        !marks.isEmpty && marks[Key(tenant: tenant, traceID: traceID)] != nil
    }

    package func encoded(storeID: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reserving: Self.headerBytes + marks.count * 64)
        writer.write(Self.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(UInt32(truncatingIfNeeded: marks.count))
        writer.write(storeID)
        for (key, created) in sorted {
            for field in [key.traceID.high, key.traceID.low, created] { writer.write(field) }
            writer.writeText(Array(key.tenant.utf8))
        }
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Oldest first.
    private var sorted: [(key: Key, value: UInt64)] {
        marks.sorted { ($0.value, $0.key.traceID, $0.key.tenant) < ($1.value, $1.key.traceID, $1.key.tenant) }
    }

    /// Nil when the bytes are damaged, or of another store.
    package static func decode(_ bytes: [UInt8], storeID: [UInt8]) throws(UnknownFormat) -> Pins? {
        guard bytes.count >= headerBytes - 4 else { return nil }
        let sum = crc32c(Array(bytes[..<(bytes.count - 4)]))
        var reader = ByteReader(bytes.span.bytes)
        var result = Pins()
        var unknown: UnknownFormat?
        do {
            guard try reader.read(UInt64.self) == magic else { return nil }
            let version = try reader.read(UInt16.self)
            _ = try reader.skip(6)
            let incompatible = try reader.read(UInt32.self)
            let count = try reader.read(UInt32.self)
            guard try reader.readBytes(16) == storeID else { return nil }
            if version != major || incompatible != 0 {
                unknown = UnknownFormat(major: version, incompatible: incompatible)
            } else {
                guard count <= UInt32(limit) else { return nil }
                for _ in 0..<count { try result.readRow(&reader) }
                guard reader.remaining == 4, try reader.read(UInt32.self) == sum else { return nil }
            }
        } catch {
            return nil
        }
        if let unknown { throw unknown }
        return result
    }

    private mutating func readRow(_ reader: inout ByteReader) throws(ByteReadError) {
        let high = try reader.read(UInt64.self)
        let low = try reader.read(UInt64.self)
        let created = try reader.read(UInt64.self)
        let tenant = String(decoding: try reader.readText(), as: UTF8.self)
        marks[Key(tenant: tenant, traceID: TraceID(high: high, low: low))] = created
    }
}
