internal import Bytes
internal import Telemetry

/// Fixed numbers of a recorder segment. Source: schemas/disk/recorder.md, "File".
enum RecorderFormat {
    static let headerBytes = 16
    static let trailerBytes = 96
    static let magic = Array("CRESTREC".utf8)
    static let endMagic = Array("CRESTRCE".utf8)
    static let major: UInt16 = 1
    static let fullFlag: UInt32 = 1
    static let directoryLimit = 16 << 20
    /// Most bytes of a chunk, as a frame and plain.
    static let chunkLimit = 64 << 20

    static var header: [UInt8] {
        var writer = ByteWriter(reserving: headerBytes)
        writer.write(magic)
        for field in [major, 0, 0, 0] { writer.write(field) }
        return writer.bytes
    }
}

/// Where a chunk lies and what is in it; an entry of the directory.
struct RecorderChunkPlace: Hashable, Sendable {
    var offset: UInt64
    var frameBytes: Int
    var plainBytes: Int
    var checksum: UInt32
    var seriesCount: UInt64
    var firstFamily: [UInt8]
    var lastFamily: [UInt8]
}

/// The directory and the last 96 bytes of a segment.
struct RecorderEnding: Hashable {
    var facts: RecorderBlockFacts
    var places: [RecorderChunkPlace]

    /// Directory and trailer.
    func encoded(directoryOffset: UInt64) -> [UInt8] {
        var directory = ByteWriter()
        for place in places {
            directory.writeVarint(UInt64(place.frameBytes))
            directory.writeVarint(UInt64(place.plainBytes))
            directory.write(place.checksum)
            directory.writeVarint(place.seriesCount)
            for name in [place.firstFamily, place.lastFamily] {
                directory.writeVarint(UInt64(name.count))
                directory.write(name)
            }
        }
        var trailer = ByteWriter(reserving: RecorderFormat.trailerBytes)
        trailer.write(facts.number)
        trailer.write(facts.first)
        trailer.write(facts.through)
        let rest = [facts.mark.log, facts.mark.windows, facts.seriesCount, facts.valueCount, directoryOffset]
        for field in rest { trailer.write(field) }
        trailer.write(UInt32(truncatingIfNeeded: directory.count))
        trailer.write(UInt32(truncatingIfNeeded: places.count))
        trailer.write(crc32c(directory.bytes))
        trailer.write(facts.isFull ? RecorderFormat.fullFlag : 0)
        trailer.write(UInt32(0))
        trailer.write(crc32c(trailer.bytes, continuing: crc32c(RecorderFormat.header)))
        trailer.write(RecorderFormat.endMagic)
        return directory.bytes + trailer.bytes
    }

    /// Reads the ending of a file.
    /// - Returns: nil when it is damaged, or of a version that this build does not know.
    static func read(_ file: any DiskFile, number: UInt64) throws(DiskError) -> RecorderEnding? {
        let size = try file.size()
        let fixed = UInt64(RecorderFormat.headerBytes + RecorderFormat.trailerBytes)
        guard size >= fixed else { return nil }
        guard try file.read(at: 0, count: RecorderFormat.headerBytes) == RecorderFormat.header else { return nil }
        let end = size - UInt64(RecorderFormat.trailerBytes)
        let trailer = try file.read(at: end, count: RecorderFormat.trailerBytes)
        guard let (facts, offset, bytes, count, checksum) = parse(trailer), facts.number == number,
            bytes <= RecorderFormat.directoryLimit, offset <= end, end - offset == UInt64(bytes)
        else { return nil }
        let directory = try file.read(at: offset, count: bytes)
        guard crc32c(directory) == checksum else { return nil }
        guard let places = parse(directory, count: count, end: offset) else { return nil }
        return RecorderEnding(facts: facts, places: places)
    }

    private typealias Trailer = (
        facts: RecorderBlockFacts, offset: UInt64, bytes: Int, count: Int, checksum: UInt32
    )

    private static func parse(_ bytes: [UInt8]) -> Trailer? {
        do throws(ByteReadError) {
            var reader = ByteReader(bytes.span.bytes)
            let number = try reader.read(UInt64.self)
            let first = try reader.read(Int64.self)
            let through = try reader.read(Int64.self)
            let mark = RecorderMark(log: try reader.read(UInt64.self), windows: try reader.read(UInt64.self))
            var facts = RecorderBlockFacts(number: number, first: first, through: through, isFull: false, mark: mark)
            facts.seriesCount = try reader.read(UInt64.self)
            facts.valueCount = try reader.read(UInt64.self)
            let offset = try reader.read(UInt64.self)
            let size = try reader.read(UInt32.self)
            let count = try reader.read(UInt32.self)
            let checksum = try reader.read(UInt32.self)
            let flags = try reader.read(UInt32.self)
            let reserved = try reader.read(UInt32.self)
            let own = try reader.read(UInt32.self)
            let covered = crc32c(Array(bytes[..<84]), continuing: crc32c(RecorderFormat.header))
            guard own == covered, reserved == 0, flags & ~RecorderFormat.fullFlag == 0, first <= through,
                Array(bytes[88...]) == RecorderFormat.endMagic
            else { return nil }
            facts.isFull = flags & RecorderFormat.fullFlag != 0
            return (facts, offset, Int(size), Int(count), checksum)
        } catch { return nil }
    }

    /// - Parameter end: of the chunks, which follow each other from the header on.
    private static func parse(_ directory: [UInt8], count: Int, end: UInt64) -> [RecorderChunkPlace]? {
        do throws(ByteReadError) {
            var reader = ByteReader(directory.span.bytes)
            var places: [RecorderChunkPlace] = []
            var offset = UInt64(RecorderFormat.headerBytes)
            for _ in 0..<count {
                let frame = try reader.readCount(limit: RecorderFormat.chunkLimit)
                let plain = try reader.readCount(limit: RecorderFormat.chunkLimit)
                let checksum = try reader.read(UInt32.self)
                let series = try reader.readVarint()
                let first = try reader.readBytes(try reader.readCount(limit: reader.remaining))
                let last = try reader.readBytes(try reader.readCount(limit: reader.remaining))
                places.append(
                    RecorderChunkPlace(
                        offset: offset, frameBytes: frame, plainBytes: plain, checksum: checksum,
                        seriesCount: series, firstFamily: first, lastFamily: last))
                offset += UInt64(frame)
            }
            return reader.isAtEnd && offset == end ? places : nil
        } catch { return nil }
    }
}
