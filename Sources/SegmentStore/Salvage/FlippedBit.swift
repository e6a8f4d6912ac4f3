internal import Bytes

/// Finds a single flipped bit by its effect on a CRC32C.
///
/// A CRC is linear: what a flipped bit does to it depends on the bit's distance from the end alone, and no two distances
/// up to far beyond our sizes do the same. Other damage looks like one flipped bit with a chance of (bits / 2^32).
enum FlippedBit {
    /// CRC32C's polynomial, lowest bit first.
    private static let polynomial: UInt32 = 0x82F6_3B78
    /// Beyond this the chance of taking other damage for a flipped bit is too large.
    static let largest = 4 << 20

    enum Place: Hashable {
        case byte(Int, mask: UInt8)
        /// In the checksum itself: the bytes are right.
        case checksum
    }

    /// Which bit of `bytes` or of their checksum is wrong; nil when the damage is more than one bit.
    static func find(_ bytes: [UInt8], checksum: UInt32) -> Place? {
        let effect = crc32c(bytes) ^ checksum
        guard effect != 0, bytes.count <= largest else { return nil }
        if effect.nonzeroBitCount == 1 { return .checksum }
        var state = polynomial
        for distance in 0..<(bytes.count * 8) {
            if state == effect {
                let index = bytes.count - 1 - distance / 8
                return .byte(index, mask: 1 << UInt8(7 - distance % 8))
            }
            state = (state >> 1) ^ (state & 1 == 1 ? polynomial : 0)
        }
        return nil
    }
}

/// A file with some of its bytes corrected.
final class CorrectedFile: DiskFile {
    private let file: any DiskFile
    private let corrections: [UInt64: UInt8]

    init(_ file: any DiskFile, _ corrections: [UInt64: UInt8]) {
        self.file = file
        self.corrections = corrections
    }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        var bytes = try file.read(at: offset, count: count)
        for (place, byte) in corrections where place >= offset && place - offset < UInt64(bytes.count) {
            bytes[Int(place - offset)] = byte
        }
        return bytes
    }

    /// EROFS.
    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        throw DiskError(call: .append, path: "", code: 30)
    }
    func syncData() throws(DiskError) {}
    func preallocate(_ bytes: UInt64) throws(DiskError) {}
    func size() throws(DiskError) -> UInt64 { try file.size() }
    func close() { file.close() }
}

/// The ends of a segment (header, footer, trailer) without which nothing of it can be read, with one flipped bit put
/// right. Each checksum is looked at by itself, so one bit in each of the three can be.
struct SegmentEndRepair {
    private let file: any DiskFile
    private let size: UInt64
    private(set) var corrections: [UInt64: UInt8] = [:]

    init(_ file: any DiskFile, size: UInt64) {
        self.file = file
        self.size = size
    }

    /// The file with its ends put right; nil when they are whole or more than a bit is wrong.
    mutating func run() throws(DiskError) -> CorrectedFile? {
        guard size >= UInt64(SegmentFormat.headerBytes + SegmentFormat.trailerBytes) else { return nil }
        guard let trailer = try trailer(), try header(trailer), try footer(trailer) else { return nil }
        return corrections.isEmpty ? nil : CorrectedFile(file, corrections)
    }

    /// The checked bytes of a piece, corrected; nil when that is not possible.
    private mutating func corrected(_ bytes: [UInt8], _ checksum: UInt32, at offset: UInt64) -> [UInt8]? {
        guard crc32c(bytes) != checksum else { return bytes }
        guard case .byte(let index, let mask)? = FlippedBit.find(bytes, checksum: checksum) else { return nil }
        var bytes = bytes
        bytes[index] ^= mask
        corrections[offset &+ UInt64(index)] = bytes[index]
        return bytes
    }

    private mutating func set(_ bytes: [UInt8], over stored: [UInt8], at offset: UInt64) {
        for index in bytes.indices where bytes[index] != stored[index] {
            corrections[offset &+ UInt64(index)] = bytes[index]
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes.withUnsafeBytes { FieldReader(bytes: $0, base: 0).u32(offset) }
    }

    private static func littleEndian(_ word: UInt32) -> [UInt8] {
        withUnsafeBytes(of: word.littleEndian) { [UInt8]($0) }
    }

    private mutating func trailer() throws(DiskError) -> SegmentTrailer? {
        let start = size - UInt64(SegmentFormat.trailerBytes)
        let stored = try file.read(at: start, count: SegmentFormat.trailerBytes)
        var bytes = stored
        let wrongBits = zip(bytes[24...], SegmentFormat.trailerMagic).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
        guard wrongBits <= 1 else { return nil }
        bytes.replaceSubrange(24..., with: SegmentFormat.trailerMagic)
        switch FlippedBit.find(Array(bytes[..<20]), checksum: Self.word(bytes, 20)) {
        case .byte(let index, let mask)?: bytes[index] ^= mask
        case .checksum?: bytes.replaceSubrange(20..<24, with: Self.littleEndian(crc32c(Array(bytes[..<20]))))
        case nil: break
        }
        set(bytes, over: stored, at: start)
        return try? SegmentTrailer(bytes, file: "")
    }

    private mutating func header(_ trailer: SegmentTrailer) throws(DiskError) -> Bool {
        let stored = try file.read(at: 0, count: SegmentFormat.headerBytes)
        // The trailer's checksum is of the whole header, its own checksum included.
        return corrected(stored, trailer.headerChecksum, at: 0) != nil
    }

    private mutating func footer(_ trailer: SegmentTrailer) throws(DiskError) -> Bool {
        let end = size - UInt64(SegmentFormat.trailerBytes)
        guard trailer.footerOffset <= end, UInt64(trailer.footerLength) == end - trailer.footerOffset,
            Int(trailer.footerLength) <= FlippedBit.largest
        else { return false }
        let stored = try file.read(at: trailer.footerOffset, count: Int(trailer.footerLength))
        return corrected(stored, trailer.footerChecksum, at: trailer.footerOffset) != nil
    }
}
