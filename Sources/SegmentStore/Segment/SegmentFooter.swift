internal import Bytes

/// Everything of a segment that is kept in memory while it is open.
///
/// Source: schemas/disk/segment.md, "Footer".
struct SegmentFooter: Sendable {
    var summary = SegmentSummary()
    var replaces: [UInt64] = []
    var siblings: [UInt64] = []
    var tenants: [String] = []
    var keys: [[UInt8]] = []
    var blocks: [BlockEntry] = []
    var catalog: [CatalogEntry] = []
    var catalogIsComplete = true
    var filter: TraceFilter

    /// The footer's bytes as stored.
    func encoded(compressionLevel: Int32) -> [UInt8] {
        var writer = ColumnWriter(compressionLevel: compressionLevel)
        for section in [metaBytes, keyBytes, directoryBytes, catalogBytes] {
            section.withUnsafeBytes { writer.writeFrame($0) }
        }
        filter.words.withUnsafeBytes { writer.writeFrame($0) }
        return writer.output
    }

    private var metaBytes: [UInt8] {
        var writer = ByteWriter()
        writer.writeVarint(summary.spanCount)
        writer.writeVarint(summary.traceCount)
        for time in [
            summary.earliestStart, summary.latestStart, summary.earliestArrival, summary.latestArrival,
        ] { writer.write(time) }
        writer.writeVarint(UInt64(replaces.count))
        for id in replaces { writer.write(id) }
        writer.writeVarint(UInt64(tenants.count))
        for tenant in tenants { writer.writeText(Array(tenant.utf8)) }
        if summary.omittedCount > 0 || !siblings.isEmpty { writer.writeVarint(summary.omittedCount) }
        if !siblings.isEmpty {
            writer.writeVarint(UInt64(siblings.count))
            for id in siblings { writer.write(id) }
        }
        return writer.bytes
    }

    private var keyBytes: [UInt8] {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(keys.count))
        for key in keys { writer.writeText(key) }
        return writer.bytes
    }

    private var directoryBytes: [UInt8] {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(blocks.count))
        for block in blocks { block.write(to: &writer) }
        return writer.bytes
    }

    private var catalogBytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt8(catalogIsComplete ? 1 : 0))
        writer.writeVarint(UInt64(catalog.count))
        for entry in catalog {
            writer.writeVarint(UInt64(entry.tenant))
            writer.writeText(entry.service)
            writer.writeText(entry.operation)
            writer.write(entry.kind)
        }
        return writer.bytes
    }
}

extension SegmentFooter {
    /// Reads a footer whose checksum held. Nothing in it is trusted beyond that.
    init(_ bytes: [UInt8], _ inflater: PieceInflater) throws(PieceDefect) {
        var reader = ByteReader(bytes.span.bytes)
        var sections: [[UInt8]] = []
        for _ in 0..<5 { sections.append(try inflater.frame(&reader)) }
        guard reader.isAtEnd else { throw PieceDefect("bytes after the footer's last section") }
        guard let filter = TraceFilter(bytes: sections[4]) else { throw PieceDefect("filter of a wrong size") }
        self.filter = filter
        do {
            try readMeta(sections[0])
            try readKeys(sections[1])
            try readDirectory(sections[2])
            try readCatalog(sections[3])
        } catch {
            throw PieceDefect("footer section: \(error)")
        }
    }

    private mutating func readMeta(_ bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes.span.bytes)
        summary.spanCount = try reader.readVarint()
        summary.traceCount = try reader.readVarint()
        summary.earliestStart = try reader.read(UInt64.self)
        summary.latestStart = try reader.read(UInt64.self)
        summary.earliestArrival = try reader.read(UInt64.self)
        summary.latestArrival = try reader.read(UInt64.self)
        for _ in 0..<(try reader.readCount(limit: reader.remaining / 8)) {
            replaces.append(try reader.read(UInt64.self))
        }
        for _ in 0..<(try reader.readCount(limit: reader.remaining)) {
            tenants.append(String(decoding: try reader.readText(), as: UTF8.self))
        }
        if !reader.isAtEnd { summary.omittedCount = try reader.readVarint() }
        guard !reader.isAtEnd else { return }
        for _ in 0..<(try reader.readCount(limit: reader.remaining / 8)) {
            siblings.append(try reader.read(UInt64.self))
        }
    }

    private mutating func readKeys(_ bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes.span.bytes)
        let count = try reader.readCount(limit: reader.remaining)
        keys.reserveCapacity(count)
        for _ in 0..<count { keys.append(try reader.readText()) }
    }

    private mutating func readDirectory(_ bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes.span.bytes)
        var offset = UInt64(SegmentFormat.headerBytes)
        for _ in 0..<(try reader.readCount(limit: reader.remaining)) {
            let block = try BlockEntry(&reader, offset: offset, tenants: tenants.count, keys: keys.count)
            offset &+= block.byteCount
            blocks.append(block)
        }
    }

    private mutating func readCatalog(_ bytes: [UInt8]) throws(ByteReadError) {
        var reader = ByteReader(bytes.span.bytes)
        catalogIsComplete = try reader.read(UInt8.self) != 0
        for _ in 0..<(try reader.readCount(limit: reader.remaining)) {
            let tenant = try reader.readCount(limit: max(0, tenants.count - 1))
            let service = try reader.readText()
            let operation = try reader.readText()
            let kind = try reader.read(UInt8.self)
            catalog.append(CatalogEntry(tenant: tenant, service: service, operation: operation, kind: kind))
        }
    }
}

extension ByteWriter {
    /// A varint length and the bytes.
    mutating func writeText(_ text: [UInt8]) {
        writeVarint(UInt64(text.count))
        write(text)
    }
}

extension ByteReader {
    /// A varint length and that many bytes.
    @_lifetime(self: copy self)
    mutating func readText() throws(ByteReadError) -> [UInt8] {
        try readBytes(try readCount(limit: remaining))
    }
}
