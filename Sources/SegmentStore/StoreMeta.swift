internal import Bytes

/// Who a data directory is. Written once.
///
/// Source: schemas/disk/manifest.md, "META".
package struct StoreMeta: Hashable, Sendable {
    package static let magic: UInt64 = 0x5249_4454_5345_5243  // "CRESTDIR"
    package static let major: UInt16 = 1
    package static let byteCount = 64
    /// 16 bytes.
    package var storeID: [UInt8]
    /// Unix nanoseconds.
    package var created: UInt64

    package init(storeID: [UInt8], created: UInt64) {
        self.storeID = storeID
        self.created = created
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Self.byteCount)
        writer.write(Self.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(storeID)
        writer.write(created)
        writer.write([UInt8](repeating: 0, count: 12))
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Nil when the bytes are damaged.
    package static func decode(_ bytes: [UInt8]) throws(UnknownFormat) -> StoreMeta? {
        let found = bytes.withUnsafeBytes { bytes in
            Result { () throws(UnknownFormat) in try decode(bytes) }
        }
        return try found.get()
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) throws(UnknownFormat) -> StoreMeta? {
        guard bytes.count == byteCount else { return nil }
        let field = FieldReader(bytes: bytes, base: 0)
        guard field.u64(0) == magic, crc32c(field.slice(0..<60)) == field.u32(60) else { return nil }
        guard field.u16(8) == major, field.u32(12) == 0, field.u32(16) == 0 else {
            throw UnknownFormat(major: field.u16(8), incompatible: field.u32(16))
        }
        guard field.u32(20) == 0, field.slice(48..<60).allSatisfy({ $0 == 0 }) else { return nil }
        return StoreMeta(storeID: [UInt8](field.slice(24..<40)), created: field.u64(40))
    }
}
