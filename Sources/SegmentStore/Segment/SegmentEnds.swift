internal import Bytes

/// The first 64 bytes of a segment.
///
/// Source: schemas/disk/segment.md, "Header".
struct SegmentHeader {
    var identity: SegmentIdentity

    init(_ identity: SegmentIdentity) { self.identity = identity }

    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: SegmentFormat.headerBytes)
        writer.write(SegmentFormat.headerMagic)
        writer.write(SegmentFormat.majorVersion)
        writer.write(SegmentFormat.minorVersion)
        writer.write(identity.level)
        writer.write(identity.standing.encoded)
        writer.write(UInt16(0))
        writer.write(UInt16(0))
        let padding = [UInt8](repeating: 0, count: SegmentFormat.storeIDBytes)
        writer.write(Array((identity.storeID + padding).prefix(SegmentFormat.storeIDBytes)))
        writer.write(identity.id)
        writer.write(identity.firstSequence)
        writer.write(identity.lastSequence)
        writer.write(UInt32(truncatingIfNeeded: identity.replaces.count))
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Reads a header; the ids it replaces are left empty.
    init(_ bytes: [UInt8], file: String) throws(SegmentError) {
        guard bytes.count == SegmentFormat.headerBytes, bytes.starts(with: SegmentFormat.headerMagic) else {
            throw .damaged(file: file, block: nil, "header magic")
        }
        var reader = ByteReader(bytes.span.bytes)
        do {
            _ = try reader.skip(8)
            let major = try reader.read(UInt8.self)
            _ = try reader.read(UInt8.self)
            let level = try reader.read(UInt8.self)
            let standing = try reader.read(UInt8.self)
            let incompatible = try reader.read(UInt16.self)
            _ = try reader.read(UInt16.self)
            let storeID = try reader.readBytes(SegmentFormat.storeIDBytes)
            identity = SegmentIdentity(
                id: try reader.read(UInt64.self), level: level, firstSequence: try reader.read(UInt64.self),
                lastSequence: try reader.read(UInt64.self), storeID: storeID)
            identity.standing = SegmentStanding(encoded: standing)
            _ = try reader.read(UInt32.self)
            let stored = try reader.read(UInt32.self)
            guard stored == crc32c(Array(bytes[..<(SegmentFormat.headerBytes - 4)])) else {
                throw SegmentError.damaged(file: file, block: nil, "header checksum")
            }
            guard major == SegmentFormat.majorVersion, incompatible == 0 else {
                throw SegmentError.unsupported(file: file, "format \(major), features \(incompatible)")
            }
        } catch let error as SegmentError {
            throw error
        } catch {
            throw .damaged(file: file, block: nil, "header")
        }
    }
}

/// The last 32 bytes of a segment.
///
/// Source: schemas/disk/segment.md, "Trailer".
struct SegmentTrailer {
    var footerOffset: UInt64
    var footerLength: UInt32
    var footerChecksum: UInt32
    var headerChecksum: UInt32

    init(footerOffset: UInt64, footer: [UInt8], header: [UInt8]) {
        self.footerOffset = footerOffset
        footerLength = UInt32(truncatingIfNeeded: footer.count)
        footerChecksum = crc32c(footer)
        headerChecksum = crc32c(header)
    }

    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: SegmentFormat.trailerBytes)
        writer.write(footerOffset)
        writer.write(footerLength)
        writer.write(footerChecksum)
        writer.write(headerChecksum)
        writer.write(crc32c(writer.bytes))
        writer.write(SegmentFormat.trailerMagic)
        return writer.bytes
    }

    init(_ bytes: [UInt8], file: String) throws(SegmentError) {
        guard bytes.count == SegmentFormat.trailerBytes, bytes.suffix(8).elementsEqual(SegmentFormat.trailerMagic)
        else { throw .damaged(file: file, block: nil, "no trailer: cut short") }
        var reader = ByteReader(bytes.span.bytes)
        do {
            footerOffset = try reader.read(UInt64.self)
            footerLength = try reader.read(UInt32.self)
            footerChecksum = try reader.read(UInt32.self)
            headerChecksum = try reader.read(UInt32.self)
            guard try reader.read(UInt32.self) == crc32c(Array(bytes[..<20])) else {
                throw SegmentError.damaged(file: file, block: nil, "trailer checksum")
            }
        } catch let error as SegmentError {
            throw error
        } catch {
            throw .damaged(file: file, block: nil, "trailer")
        }
    }
}
