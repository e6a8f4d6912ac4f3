internal import Bytes

/// Reads frames; owns a decompressor, so one belongs to one thread at a time.
///
/// Source: schemas/disk/segment.md, "Frame".
final class PieceInflater {
    private let zstd = ZstdDecompressor()

    /// The plain bytes of the next frame.
    func frame(_ reader: inout ByteReader) throws(PieceDefect) -> [UInt8] {
        do {
            let plain = try reader.readCount(limit: SegmentFormat.frameBytes)
            let stored = try reader.readCount(limit: SegmentFormat.frameBytes)
            if stored == 0 { return try reader.readBytes(plain) }
            // Zstd at its best makes a thousandth or so of its input; a longer claim is damage, not worth the memory.
            guard plain / 65_536 <= stored else { throw PieceDefect("frame claims \(plain) bytes") }
            return try inflate(try reader.readSpan(stored), plain)
        } catch let defect as PieceDefect {
            throw defect
        } catch {
            throw PieceDefect("frame: \(error)")
        }
    }

    private func inflate(_ source: RawSpan, _ plain: Int) throws(PieceDefect) -> [UInt8] {
        var size: Int?
        let bytes = [UInt8](unsafeUninitializedCapacity: plain) { target, written in
            let room = UnsafeMutableRawBufferPointer(target)
            size = source.withUnsafeBytes { zstd.inflate($0, into: room) }
            written = size ?? 0
        }
        guard size == plain else { throw PieceDefect("frame does not inflate to \(plain) bytes") }
        return bytes
    }
}
