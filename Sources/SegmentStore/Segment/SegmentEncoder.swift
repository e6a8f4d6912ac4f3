internal import Bytes
package import Telemetry

/// Writes batches of spans as one segment file.
///
/// Spans are sorted by tenant, trace id and start, cut into blocks, and written column by column. Memory beyond the
/// batches is one block and about 40 bytes a span. The same batches in the same order make the same bytes.
/// Source: schemas/disk/segment.md.
package struct SegmentEncoder: Sendable {
    private let compressionLevel: Int32
    private let blockSpans: Int

    /// - Parameters:
    ///   - compressionLevel: of zstd.
    ///   - blockSpans: spans at which a block is closed, at least 1.
    package init(compressionLevel: Int32 = 1, blockSpans: Int = Limits.blockSpans) {
        self.compressionLevel = compressionLevel
        self.blockSpans = min(max(1, blockSpans), SegmentFormat.blockRows)
    }

    /// Encodes all spans of the batches, which must be valid (see ``SpanBatch/validate()``).
    ///
    /// - Parameters:
    ///   - omitted: see ``SegmentSummary/omittedCount``.
    ///   - write: takes the file's bytes piece by piece, in order.
    /// - Throws: what `write` throws; the file is then incomplete and never valid.
    package func encode(
        _ batches: [SpanBatch], identity: SegmentIdentity, omitted: UInt64 = 0,
        write: ([UInt8]) throws(DiskError) -> Void
    ) throws(DiskError) -> SegmentSummary {
        let order = SpanOrder(batches)
        let tables = BatchTables(batches)
        var footer = SegmentFooter(filter: TraceFilter(traces: order.traces))
        footer.replaces = identity.replaces
        footer.tenants = order.tenants
        footer.summary.traceCount = UInt64(order.traces.count)
        footer.summary.omittedCount = omitted

        let header = SegmentHeader(identity).encoded
        try write(header)
        var offset = UInt64(header.count)
        var catalog = CatalogBuilder()
        var writer = BlockWriter(compressionLevel: compressionLevel, keyCount: tables.keys.distinct)
        var block = BlockBuilder(keyCount: tables.keys.distinct, scopeCount: tables.scopes.distinct)
        var cursor = Cursor(prefetch: RowPrefetch(batches))
        while fill(&block, from: &cursor, order: order, tables: tables, batches: batches) {
            block.addTables(batches, tables)
            catalog.add(block)
            let written = writer.write(block, keyTable: tables.keys)
            try write(written.bytes)
            offset += UInt64(written.bytes.count)
            let entry = block.finished(written.columns)
            footer.add(entry)
            block.removeAll()
        }
        footer.keys = writer.keys
        footer.catalog = catalog.entries
        footer.catalogIsComplete = catalog.isComplete
        let footerBytes = footer.encoded(compressionLevel: compressionLevel)
        let trailer = SegmentTrailer(footerOffset: offset, footer: footerBytes, header: header).encoded
        try write(footerBytes)
        try write(trailer)
        footer.summary.byteCount = offset + UInt64(footerBytes.count + trailer.count)
        return footer.summary
    }

    /// Where the next block starts: a trace, and a span of it.
    private struct Cursor: ~Copyable {
        var trace = 0
        var span = 0
        let prefetch: RowPrefetch
    }

    /// Fills an empty block; false when there is nothing left.
    private func fill(
        _ block: inout BlockBuilder, from cursor: inout Cursor, order: borrowing SpanOrder,
        tables: borrowing BatchTables, batches: [SpanBatch]
    ) -> Bool {
        while cursor.trace < order.traces.count {
            let trace = order.traces[cursor.trace]
            let left = Int(trace.count) - cursor.span
            if block.entry.spans > 0 {
                let isOther = Int(trace.tenant) != block.entry.tenant
                if isOther || block.entry.spans + left > blockSpans || isFull(block) { return true }
            }
            block.beginTrace(trace)
            while cursor.span < Int(trace.count), !isFull(block) {
                cursor.prefetch.look(ahead: Int(trace.first) + cursor.span, in: order.rows.buffer)
                let reference = order.rows.base[Int(trace.first) + cursor.span]
                let index = Int(reference >> 32)
                let batch = batches[index]
                block.append(
                    batch.spans[Int(reference & 0xffff_ffff)], arrival: batch.origin.arrival, batch, tables: tables,
                    scopeMap: tables.scopes.codes.base + tables.scopeStarts[index],
                    keys: tables.keys.codes.base + tables.keyStarts[index])
                cursor.span += 1
            }
            block.endTrace()
            if cursor.span == Int(trace.count) {
                cursor.trace += 1
                cursor.span = 0
            }
        }
        return block.entry.spans > 0
    }

    private func isFull(_ block: borrowing BlockBuilder) -> Bool {
        block.entry.spans >= blockSpans || block.textBytes >= SegmentFormat.blockTextBytes
    }
}

extension SegmentFooter {
    init(filter: TraceFilter) { self.filter = filter }

    /// Appends a block and widens the summary by it.
    mutating func add(_ block: BlockEntry) {
        let isFirst = blocks.isEmpty
        blocks.append(block)
        summary.spanCount += UInt64(block.spans)
        summary.earliestStart = isFirst ? block.earliestStart : min(summary.earliestStart, block.earliestStart)
        summary.latestStart = max(summary.latestStart, block.latestStart)
        summary.earliestArrival = isFirst ? block.earliestArrival : min(summary.earliestArrival, block.earliestArrival)
        summary.latestArrival = max(summary.latestArrival, block.latestArrival)
    }
}
