internal import Bytes
package import Telemetry

/// One open segment file: footer, block directory, catalog and filter in memory, all else read when it is asked for.
///
/// Immutable and shared freely; every query has its own scratch. Damage found in a block is thrown with file and block
/// and touches no other block.
/// Source: schemas/disk/segment.md.
package final class SegmentReader: Sendable {
    package let identity: SegmentIdentity
    package let summary: SegmentSummary
    /// False when the segment has more services and operations than it lists.
    package var catalogIsComplete: Bool { footer.catalogIsComplete }
    let footer: SegmentFooter
    let file: any DiskFile
    let name: String
    let checksColumns: Bool

    /// Opens a segment: reads and checks header, footer and trailer. Blocks are checked when they are read.
    ///
    /// - Parameters:
    ///   - name: what errors call the file.
    ///   - checksColumns: false for salvage only: columns are then read in spite of a wrong checksum, and what they
    ///     hold may be wrong too. ``verify()`` checks in either case.
    package convenience init(file: any DiskFile, name: String, checksColumns: Bool = true) throws(SegmentError) {
        try self.init(file: file, name: name, checksColumns: checksColumns, inflater: PieceInflater())
    }

    /// For who opens many: `inflater` is used during the call only.
    init(
        file: any DiskFile, name: String, checksColumns: Bool = true, inflater: PieceInflater
    ) throws(SegmentError) {
        self.file = file
        self.name = name
        self.checksColumns = checksColumns
        let size: UInt64
        do { size = try file.size() } catch { throw .disk(error) }
        guard size >= UInt64(SegmentFormat.headerBytes + SegmentFormat.trailerBytes), size < UInt64(Int.max) else {
            throw .damaged(file: name, block: nil, "\(size) bytes are too few")
        }
        let headerBytes = try Self.read(file, at: 0, count: SegmentFormat.headerBytes)
        let trailerBytes = try Self.read(
            file, at: size - UInt64(SegmentFormat.trailerBytes), count: SegmentFormat.trailerBytes)
        let header = try SegmentHeader(headerBytes, file: name)
        let trailer = try SegmentTrailer(trailerBytes, file: name)
        footer = try Self.footer(
            file, name, size: size, header: headerBytes, trailer: trailer, inflater: inflater)
        var identity = header.identity
        identity.replaces = footer.replaces
        identity.siblings = footer.siblings
        self.identity = identity
        var summary = footer.summary
        summary.byteCount = size
        self.summary = summary
    }

    private static func footer(
        _ file: any DiskFile, _ name: String, size: UInt64, header: [UInt8], trailer: SegmentTrailer,
        inflater: PieceInflater
    ) throws(SegmentError) -> SegmentFooter {
        let end = size - UInt64(SegmentFormat.trailerBytes)
        guard trailer.headerChecksum == crc32c(header) else {
            throw .damaged(file: name, block: nil, "header and trailer are of different files")
        }
        guard trailer.footerOffset >= UInt64(SegmentFormat.headerBytes), trailer.footerOffset <= end,
            UInt64(trailer.footerLength) == end - trailer.footerOffset,
            trailer.footerLength <= SegmentFormat.footerBytes
        else { throw .damaged(file: name, block: nil, "footer does not end at the trailer") }
        let bytes = try read(file, at: trailer.footerOffset, count: Int(trailer.footerLength))
        guard crc32c(bytes) == trailer.footerChecksum else {
            throw .damaged(file: name, block: nil, "footer checksum")
        }
        let footer: SegmentFooter
        do { footer = try SegmentFooter(bytes, inflater) } catch {
            throw .damaged(file: name, block: nil, error.reason)
        }
        let blocks = footer.blocks.reduce(UInt64(SegmentFormat.headerBytes)) { $0 &+ $1.byteCount }
        guard blocks == trailer.footerOffset else {
            throw .damaged(file: name, block: nil, "blocks do not end at the footer")
        }
        return footer
    }

    private static func read(_ file: any DiskFile, at offset: UInt64, count: Int) throws(SegmentError) -> [UInt8] {
        do { return try file.read(at: offset, count: count) } catch { throw .disk(error) }
    }

    /// Bounds of the spans' starts; `0...0` in an empty segment.
    package var starts: ClosedRange<UInt64> {
        summary.earliestStart...max(summary.earliestStart, summary.latestStart)
    }

    package var spanCount: Int { Int(clamping: summary.spanCount) }
    package var blockCount: Int { footer.blocks.count }

    /// Services and operations of a tenant in the segment, each once, in no order.
    package func operations(tenant: String) -> [(service: String, operation: Operation)] {
        guard let index = footer.tenants.firstIndex(of: tenant) else { return [] }
        return footer.catalog.filter { $0.tenant == index }.map { entry in
            let kind = SpanKind(rawValue: entry.kind) ?? .unspecified
            let operation = Operation(name: String(decoding: entry.operation, as: UTF8.self), kind: kind)
            return (service: String(decoding: entry.service, as: UTF8.self), operation: operation)
        }
    }

    func block(_ index: Int, _ inflater: PieceInflater) -> BlockReader {
        BlockReader(
            file: file, fileName: name, index: index, entry: footer.blocks[index], keys: footer.keys,
            inflater: inflater, checksColumns: checksColumns)
    }

    /// The extent of one trace in this segment; nil when no span of it is here.
    package func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent? {
        let candidates = blocks(of: traceID, tenant: tenant)
        if candidates.isEmpty { return nil }
        do {
            let inflater = PieceInflater()
            for index in candidates {
                var block = block(index, inflater)
                let traces = try BlockTraces(&block)
                if let trace = traces.find(traceID) { return traces.extent(trace) }
            }
            return nil
        } catch {
            throw .storage(error.description)
        }
    }

    /// All spans of one trace in this segment, repeated deliveries included, by start.
    package func spans(
        of traceID: TraceID, tenant: String, budget: QueryBudget
    ) throws(ReadError) -> [SpanRecord] {
        let candidates = blocks(of: traceID, tenant: tenant)
        if candidates.isEmpty { return [] }
        var records: [SpanRecord] = []
        let inflater = PieceInflater()
        for index in candidates {
            do throws(SegmentError) {
                var block = block(index, inflater)
                let traces = try BlockTraces(&block)
                guard let trace = traces.find(traceID) else { continue }
                try block.loadAll()
                var reader = BlockRecords(block, traces)
                records += try reader.records(of: trace..<trace + 1)
            } catch {
                throw .storage(error.description)
            }
            do { try budget.charge(Int(clamping: footer.blocks[index].byteCount)) } catch { throw .stopped(error) }
        }
        return records
    }

    /// Blocks that may hold a trace: filter first, then the bounds in the directory.
    private func blocks(of traceID: TraceID, tenant: String) -> Range<Int> {
        guard let tenant = footer.tenants.firstIndex(of: tenant),
            footer.filter.mayContain(traceID.high, traceID.low)
        else { return 0..<0 }
        let blocks = footer.blocks
        func isBefore(_ block: BlockEntry) -> Bool {
            if block.tenant != tenant { return block.tenant < tenant }
            return TraceID(high: block.lastHigh, low: block.lastLow) < traceID
        }
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(blocks[middle]) { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < blocks.count, blocks[end].tenant == tenant,
            TraceID(high: blocks[end].firstHigh, low: blocks[end].firstLow) <= traceID
        { end += 1 }
        return low..<end
    }

    /// Visits all spans, block by block, in the order of the file: for exports, compaction and checks.
    ///
    /// - Parameter visit: gets the tenant and the spans of one block; returns false to stop.
    package func allSpans(
        visit: (_ tenant: String, _ spans: [SpanRecord]) throws(SegmentError) -> Bool
    ) throws(SegmentError) {
        for index in footer.blocks.indices {
            let records = try spans(inBlock: index)
            guard try visit(footer.tenants[footer.blocks[index].tenant], records) else { return }
        }
    }

    /// All spans of one block (0..<``blockCount``), by trace id and start.
    package func spans(inBlock index: Int) throws(SegmentError) -> [SpanRecord] {
        guard footer.blocks.indices.contains(index) else { return [] }
        var block = block(index, PieceInflater())
        try block.loadAll()
        let traces = try BlockTraces(&block)
        var reader = BlockRecords(block, traces)
        return try reader.records(of: 0..<traces.count)
    }

    /// Reads every block and checks every column's checksum.
    package func verify() throws(SegmentError) {
        let inflater = PieceInflater()
        for index in footer.blocks.indices {
            var block = block(index, inflater)
            try block.checkColumns()
        }
    }
}
