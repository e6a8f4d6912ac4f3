internal import Bytes
internal import Synchronization
internal import Telemetry

/// One recorder segment on disk. Immutable; open handles read on when retention has unlinked it.
final class RecorderSegment: RecordedSegment {
    let facts: RecorderBlockFacts
    let byteCount: UInt64
    private let places: [RecorderChunkPlace]
    private let disk: any Disk
    private let damage: DamageCount

    init(_ ending: RecorderEnding, byteCount: UInt64, disk: any Disk, damage: DamageCount) {
        facts = ending.facts
        places = ending.places
        self.byteCount = byteCount
        self.disk = disk
        self.damage = damage
    }

    var path: String { StorePath.recorded(number: facts.number) }
    var families: [(first: [UInt8], last: [UInt8])] { places.map { ($0.firstFamily, $0.lastFamily) } }

    func chunk(_ index: Int) -> [UInt8]? {
        guard places.indices.contains(index) else { return nil }
        do throws(DiskError) {
            let file = try disk.open(path)
            defer { file.close() }
            return try read(places[index], from: file)
        } catch {
            // One that retention has unlinked meanwhile is no damage.
            if error.isMissing { return [] }
            damage.chunks.add(1, ordering: .relaxed)
            return nil
        }
    }

    private func read(_ place: RecorderChunkPlace, from file: any DiskFile) throws(DiskError) -> [UInt8]? {
        let frame = try file.read(at: place.offset, count: place.frameBytes)
        if crc32c(frame) == place.checksum,
            let plain = frame.withUnsafeBytes({ source -> [UInt8]? in
                do { return try zstdInflated(source, exactly: place.plainBytes) } catch { return nil }
            })
        {
            return plain
        }
        damage.chunks.add(1, ordering: .relaxed)
        return nil
    }

    /// Makes the file of a block, durable with its name.
    /// - Throws: and leaves at most a draft behind, which the next attempt and the next start remove.
    static func write(
        _ block: any RecordableBlock, on disk: any Disk, level: Int32, damage: DamageCount
    ) throws(DiskError) -> RecorderSegment {
        let path = StorePath.recorded(number: block.facts.number)
        let draft = path + StorePath.draftSuffix
        let file = try disk.createDraft(draft)
        defer { file.close() }
        try file.append(RecorderFormat.header)
        var ending = RecorderEnding(facts: block.facts, places: [])
        var offset = UInt64(RecorderFormat.headerBytes)
        let compressor = ZstdCompressor(level: level)
        var failure: DiskError?
        block.forEachChunk { chunk in
            do throws(DiskError) {
                let place = try append(chunk, at: offset, to: file, draft, compressor)
                ending.places.append(place)
                ending.facts.seriesCount += chunk.seriesCount
                ending.facts.valueCount += chunk.valueCount
                offset += UInt64(place.frameBytes)
            } catch { failure = error }
            return failure == nil
        }
        if let failure { throw failure }
        let end = ending.encoded(directoryOffset: offset)
        try file.append(end)
        try file.syncData()
        try disk.rename(draft, to: path)
        try disk.syncDirectory(StorePath.recorderDirectory)
        return RecorderSegment(ending, byteCount: offset + UInt64(end.count), disk: disk, damage: damage)
    }

    private static func append(
        _ chunk: RecorderChunk, at offset: UInt64, to file: any DiskFile, _ path: String,
        _ compressor: ZstdCompressor
    ) throws(DiskError) -> RecorderChunkPlace {
        var frame: [UInt8] = []
        guard chunk.plain.count <= RecorderFormat.chunkLimit,
            let size = chunk.plain.withUnsafeBytes({ compressor.append($0, to: &frame) })
        else { throw DiskError(call: .append, path: path, code: 27) }
        try file.append(frame)
        return RecorderChunkPlace(
            offset: offset, frameBytes: size, plainBytes: chunk.plain.count, checksum: crc32c(frame),
            seriesCount: chunk.seriesCount, firstFamily: chunk.firstFamily, lastFamily: chunk.lastFamily)
    }
}

/// Chunks that turned out damaged when they were read.
final class DamageCount: Sendable {
    let chunks = Atomic<UInt64>(0)
}
