internal import Bytes

/// The fixed-size parts of a WAL file, each with its encoder and decoder. Integers are little-endian.
///
/// Source: schemas/disk/wal.md.
package enum WALFormat {
    package static let magic: UInt64 = 0x4C41_5754_5345_5243  // "CRESTWAL"
    package static let groupMagic: UInt32 = 0x5052_4743  // "CGRP"
    package static let trailerMagic: UInt32 = 0x444E_4543  // "CEND"
    package static let fileHeaderBytes = 64
    /// Where the first group starts: the file header is written twice.
    package static let firstGroup = 2 * fileHeaderBytes
    package static let groupHeaderBytes = 56
    package static let recordHeaderBytes = 32
    package static let trailerBytes = 16
    package static let alignment = 8
    package static let spans: UInt8 = 1

    package static func padded(_ count: Int) -> Int { (count + alignment - 1) & ~(alignment - 1) }

    /// CRC of the salt and then `bytes`.
    static func checksum(_ salt: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
        let seed = withUnsafeBytes(of: salt.littleEndian) { crc32c($0) }
        return crc32c(bytes, continuing: seed)
    }

    static func checksum(_ salt: UInt64, _ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { checksum(salt, $0) }
    }
}

/// Unaligned little-endian loads from checked places; every Crest platform is little-endian.
struct FieldReader {
    let bytes: UnsafeRawBufferPointer
    /// Where offset zero of the fields lies in `bytes`.
    let base: Int

    func u16(_ offset: Int) -> UInt16 { bytes.loadUnaligned(fromByteOffset: base + offset, as: UInt16.self) }
    func u32(_ offset: Int) -> UInt32 { bytes.loadUnaligned(fromByteOffset: base + offset, as: UInt32.self) }
    func u64(_ offset: Int) -> UInt64 { bytes.loadUnaligned(fromByteOffset: base + offset, as: UInt64.self) }
    func u8(_ offset: Int) -> UInt8 { bytes[base + offset] }
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[base + range.lowerBound..<base + range.upperBound])
    }
}

/// The head of a WAL file: 64 bytes, written twice.
///
/// Source: schemas/disk/wal.md, "File header".
package struct WALFileHeader: Hashable, Sendable {
    package static let major: UInt16 = 1
    package var storeID: [UInt8]
    package var firstSequence: UInt64
    package var spansBefore: UInt64
    package var salt: UInt64

    package init(storeID: [UInt8], firstSequence: UInt64, spansBefore: UInt64, salt: UInt64) {
        self.storeID = storeID
        self.firstSequence = firstSequence
        self.spansBefore = spansBefore
        self.salt = salt
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: WALFormat.fileHeaderBytes)
        writer.write(WALFormat.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(storeID)
        writer.write(firstSequence)
        writer.write(spansBefore)
        writer.write(salt)
        writer.write(UInt32(0))
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Nil when the checksum or a field does not fit; `unknownFormat` when the bytes are whole but not ours to read.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(UnknownFormat) -> WALFileHeader? {
        guard bytes.count >= WALFormat.fileHeaderBytes else { return nil }
        let field = FieldReader(bytes: bytes, base: 0)
        guard field.u64(0) == WALFormat.magic, crc32c(field.slice(0..<60)) == field.u32(60) else { return nil }
        guard field.u16(8) == major, field.u16(12) == 0, field.u16(14) == 0 else {
            throw UnknownFormat(major: field.u16(8), incompatible: UInt32(field.u16(14)))
        }
        guard field.u32(56) == 0 else { return nil }
        return WALFileHeader(
            storeID: [UInt8](field.slice(16..<32)), firstSequence: field.u64(32), spansBefore: field.u64(40),
            salt: field.u64(48))
    }
}

/// A file that is whole but of a version or with features that this build does not know.
package struct UnknownFormat: Error, Hashable, Sendable {
    package let major: UInt16
    package let incompatible: UInt32
}

/// The head of a group, the unit of commit: 56 bytes.
///
/// Source: schemas/disk/wal.md, "Group".
package struct WALGroupHeader: Hashable, Sendable {
    package var byteCount: UInt32
    package var firstSequence: UInt64
    package var durableSequence: UInt64
    package var spansBefore: UInt64
    package var wall: UInt64
    package var recordCount: UInt32
    package var spanCount: UInt32

    func encoded(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(reserving: WALFormat.groupHeaderBytes)
        writer.write(WALFormat.groupMagic)
        writer.write(byteCount)
        writer.write(firstSequence)
        writer.write(durableSequence)
        writer.write(spansBefore)
        writer.write(wall)
        writer.write(recordCount)
        writer.write(spanCount)
        writer.write(UInt32(0))
        writer.write(WALFormat.checksum(salt, writer.bytes[...]))
        return writer.bytes
    }

    /// Nil when these are not the bytes of a group header of the file with this salt.
    static func decode(_ bytes: UnsafeRawBufferPointer, at base: Int, salt: UInt64) -> WALGroupHeader? {
        guard bytes.count - base >= WALFormat.groupHeaderBytes else { return nil }
        let field = FieldReader(bytes: bytes, base: base)
        guard field.u32(0) == WALFormat.groupMagic, field.u32(48) == 0,
            WALFormat.checksum(salt, field.slice(0..<52)) == field.u32(52)
        else { return nil }
        let least = WALFormat.groupHeaderBytes + WALFormat.trailerBytes
        guard Int(field.u32(4)) >= least, Int(field.u32(4)) % WALFormat.alignment == 0 else { return nil }
        return WALGroupHeader(
            byteCount: field.u32(4), firstSequence: field.u64(8), durableSequence: field.u64(16),
            spansBefore: field.u64(24), wall: field.u64(32), recordCount: field.u32(40), spanCount: field.u32(44))
    }
}

/// The head of a record: 32 bytes.
///
/// Source: schemas/disk/wal.md, "Record".
package struct WALRecordHeader: Hashable, Sendable {
    package var bodyBytes: UInt32
    package var sequence: UInt64
    package var signal: UInt8
    package var tenantBytes: UInt16
    package var spanCount: UInt32
    package var payloadChecksum: UInt32

    /// Bytes of the record with header and padding.
    package var byteCount: Int {
        WALFormat.recordHeaderBytes + payloadBytes
    }

    package var payloadBytes: Int { WALFormat.padded(Int(tenantBytes)) + WALFormat.padded(Int(bodyBytes)) }

    func encoded(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(reserving: WALFormat.recordHeaderBytes)
        writer.write(UInt32(0))
        writer.write(bodyBytes)
        writer.write(sequence)
        writer.write(signal)
        writer.write(UInt8(0))
        writer.write(tenantBytes)
        writer.write(spanCount)
        writer.write(payloadChecksum)
        writer.write(UInt32(0))
        writer.patch(WALFormat.checksum(salt, writer.bytes[4...]), at: 0)
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, at base: Int, salt: UInt64) -> WALRecordHeader? {
        guard bytes.count - base >= WALFormat.recordHeaderBytes else { return nil }
        let field = FieldReader(bytes: bytes, base: base)
        guard field.u8(17) == 0, field.u32(28) == 0,
            WALFormat.checksum(salt, field.slice(4..<32)) == field.u32(0)
        else { return nil }
        return WALRecordHeader(
            bodyBytes: field.u32(4), sequence: field.u64(8), signal: field.u8(16), tenantBytes: field.u16(18),
            spanCount: field.u32(20), payloadChecksum: field.u32(24))
    }
}

/// The end of a group: 16 bytes.
struct WALTrailer: Hashable {
    var recordCount: UInt32
    var recordChecksums: UInt32

    func encoded(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(reserving: WALFormat.trailerBytes)
        writer.write(WALFormat.trailerMagic)
        writer.write(recordCount)
        writer.write(recordChecksums)
        writer.write(WALFormat.checksum(salt, writer.bytes[...]))
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, at base: Int, salt: UInt64) -> WALTrailer? {
        guard bytes.count - base >= WALFormat.trailerBytes else { return nil }
        let field = FieldReader(bytes: bytes, base: base)
        guard field.u32(0) == WALFormat.trailerMagic,
            WALFormat.checksum(salt, field.slice(0..<12)) == field.u32(12)
        else { return nil }
        return WALTrailer(recordCount: field.u32(4), recordChecksums: field.u32(8))
    }
}
