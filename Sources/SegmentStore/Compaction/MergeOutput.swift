internal import Bytes
internal import Telemetry

/// One segment that a merge writes: a block is gathered and written when it is full.
struct MergeOutput: ~Copyable {
    let identity: SegmentIdentity
    private(set) var footer: SegmentFooter
    private(set) var offset: UInt64 = 0
    /// Deliveries of a span beyond its first.
    private(set) var repeated: UInt64 = 0

    private let header: [UInt8]
    private let blockSpans: Int
    private let heldBatches: Int
    private var tables = BatchTables([])
    private var batches: [SpanBatch] = []
    private var arrivals: [[UInt64]] = []
    private var block = BlockBuilder(keyCount: 0, scopeCount: 0)
    private var writer: BlockWriter
    private var catalog = CatalogBuilder()
    /// By cursor: which of its blocks is held, and where; 0: none.
    private var held: [(block: Int, slot: Int)]
    /// Spans of the trace at hand that were kept and start when the newest of them does.
    private var run: [(slot: Int, row: Int)] = []
    private var runStart: UInt64 = 0
    private static let longestRun = 64

    typealias Write = ([UInt8]) throws(DiskError) -> Void

    /// - Parameters:
    ///   - filter: empty, with room for all that may come.
    ///   - heldBatches: input blocks behind one output block, beyond which it is written early.
    init(
        _ identity: SegmentIdentity, tenants: [String], filter: TraceFilter, cursors: Int, heldBatches: Int,
        blockSpans: Int, compressionLevel: Int32
    ) {
        self.identity = identity
        self.blockSpans = min(max(1, blockSpans), SegmentFormat.blockRows)
        self.heldBatches = heldBatches
        header = SegmentHeader(identity).encoded
        writer = BlockWriter(compressionLevel: compressionLevel, keyCount: 0)
        footer = SegmentFooter(filter: filter)
        footer.replaces = identity.replaces
        footer.tenants = tenants
        held = [(block: Int, slot: Int)](repeating: (0, 0), count: cursors)
    }

    mutating func begin(_ write: Write) throws(MergeError) { try put(header, write) }

    /// Writes the spans that the cursors have of the trace, as one.
    /// - Parameter factor: what each span's weight is multiplied with.
    mutating func add(
        _ key: MergeCursor.Key, _ sources: [MergeCursor], factor: Double, _ write: Write
    ) throws(MergeError) {
        var trace = SpanOrder.Trace(
            high: key.id.high, low: key.id.low, start: .max, end: 0,
            tenant: UInt32(truncatingIfNeeded: key.tenant), first: 0, count: 0)
        var left = 0
        for source in sources {
            left += source.spansLeft
            guard let extent = source.extent else { continue }
            trace.start = min(trace.start, extent.start)
            trace.end = max(trace.end, extent.end)
        }
        if block.entry.spans > 0 {
            let isOther = key.tenant != block.entry.tenant
            if isOther || isFull || block.entry.spans + left > blockSpans || batches.count > heldBatches {
                try flush(write)
            }
        }
        footer.filter.insert(trace.high, trace.low)
        footer.summary.traceCount &+= 1
        run.removeAll(keepingCapacity: true)
        block.beginTrace(trace)
        while let source = Self.first(sources, key) {
            if isFull {
                block.endTrace()
                try flush(write)
                block.beginTrace(trace)
            }
            take(source, factor)
            do { try source.advance() } catch { throw .segment(error) }
        }
        block.endTrace()
    }

    private var isFull: Bool {
        block.entry.spans >= blockSpans || block.textBytes >= SegmentFormat.blockTextBytes
    }

    /// Which source has the earliest span of the trace; among equals the first.
    private static func first(_ sources: [MergeCursor], _ key: MergeCursor.Key) -> MergeCursor? {
        if sources.count == 1 { return sources[0].key == key ? sources[0] : nil }
        var best: MergeCursor?
        var least = UInt64.max
        for source in sources where source.key == key {
            let start = source.start
            if best == nil || start < least {
                best = source
                least = start
            }
        }
        return best
    }

    private mutating func take(_ source: MergeCursor, _ factor: Double) {
        guard let slot = slot(of: source) else { return }
        let row = source.currentRow
        let batch = batches[slot]
        var span = batch.spans[row]
        if span.start != runStart || run.isEmpty {
            run.removeAll(keepingCapacity: true)
            runStart = span.start
        } else if isRepeated(span, row, batch) {
            repeated &+= 1
            return
        }
        if run.count == Self.longestRun { run.removeFirst() }
        run.append((slot, row))
        span.weight *= factor
        block.append(
            span, arrival: arrivals[slot][row], batch, tables: tables,
            scopeMap: tables.scopes.codes.base + tables.scopeStarts[slot],
            keys: tables.keys.codes.base + tables.keyStarts[slot])
    }

    /// Where the block that a cursor has at hand is held, until the output block at hand is written.
    private mutating func slot(of cursor: MergeCursor) -> Int? {
        let known = held[cursor.number]
        if known.block == cursor.nextBlock { return known.slot }
        guard let loaded = cursor.block else { return nil }
        held[cursor.number] = (cursor.nextBlock, batches.count)
        batches.append(loaded.batch)
        arrivals.append(loaded.arrivals)
        tables.add(loaded.batch)
        block.grow(keyCount: tables.keys.distinct, scopeCount: tables.scopes.distinct)
        return batches.count - 1
    }

    /// Whether a span of the run has the same id and content; arrival and weight are no part of it.
    private func isRepeated(_ span: SpanRow, _ row: Int, _ batch: SpanBatch) -> Bool {
        for (slot, other) in run {
            let candidate = batches[slot].spans[other]
            guard candidate.spanID == span.spanID, candidate.end == span.end else { continue }
            var record = batches[slot].record(other)
            record.weight = span.weight
            if record == batch.record(row) { return true }
        }
        return false
    }

    // MARK: Writing

    private mutating func put(_ bytes: [UInt8], _ write: Write) throws(MergeError) {
        do { try write(bytes) } catch { throw .disk(error) }
        offset &+= UInt64(bytes.count)
    }

    private mutating func flush(_ write: Write) throws(MergeError) {
        guard block.entry.spans > 0 else { return }
        block.addTables(batches, tables)
        catalog.add(block)
        writer.renumberKeys(keyCount: tables.keys.distinct)
        let written = writer.write(block, keyTable: tables.keys)
        try put(written.bytes, write)
        footer.add(block.finished(written.columns))
        block.removeAll()
        run.removeAll(keepingCapacity: true)
        tables = BatchTables([])
        batches.removeAll(keepingCapacity: true)
        arrivals.removeAll(keepingCapacity: true)
        for cursor in held.indices { held[cursor] = (0, 0) }
    }

    /// Writes the last block, footer and trailer.
    /// - Parameter siblings: ids of all results of the merge, this one's among them; empty when it is the only one.
    mutating func finish(
        siblings: [UInt64], compressionLevel: Int32, _ write: Write
    ) throws(MergeError) -> SegmentSummary {
        try flush(write)
        footer.siblings = siblings
        footer.keys = writer.keys
        footer.catalog = catalog.entries
        footer.catalogIsComplete = catalog.isComplete
        footer.filter.fold(to: Int(clamping: footer.summary.traceCount))
        let footerBytes = footer.encoded(compressionLevel: compressionLevel)
        let trailer = SegmentTrailer(footerOffset: offset, footer: footerBytes, header: header).encoded
        try put(footerBytes, write)
        try put(trailer, write)
        footer.summary.byteCount = offset
        return footer.summary
    }
}
