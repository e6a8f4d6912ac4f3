internal import Bytes
internal import Telemetry

/// Why a merge ended without a result.
enum MergeError: Error {
    case disk(DiskError)
    case segment(SegmentError)
    case stopped
}

/// What a merge made of its inputs: spans in = spans out + deleted + repeated.
struct MergeResult {
    var summary = SegmentSummary()
    var deleted: UInt64 = 0
    /// Deliveries of a span beyond its first.
    var repeated: UInt64 = 0
}

/// Writes the spans of several segments as one, ordered as in each: by tenant, trace id and start.
///
/// Streams: one decoded block an input and one gathered block are in memory, whatever the segments' sizes. The parts
/// of a trace come together; spans that tombstones hide are left out; of spans that agree in everything but the
/// arrival the first stays.
struct SegmentMerge: ~Copyable {
    private var cursors: [MergeCursor] = []
    private let tombstones: Tombstones
    private let tenants: [String]
    private let blockSpans: Int

    private var tables = BatchTables([])
    private var batches: [SpanBatch] = []
    private var arrivals: [[UInt64]] = []
    private var block = BlockBuilder(keyCount: 0, scopeCount: 0)
    private var writer: BlockWriter
    private var catalog = CatalogBuilder()
    private var footer: SegmentFooter
    private var offset: UInt64 = 0
    private var result = MergeResult()
    /// Spans of the trace at hand that were kept and start when the newest of them does.
    private var run: [(slot: Int, row: Int)] = []
    private var runStart: UInt64 = 0
    private static let longestRun = 64

    /// - Parameter skipping: blocks of each reader to leave out.
    init(
        _ readers: [SegmentReader], tombstones: Tombstones, compressionLevel: Int32, blockSpans: Int,
        skipping: Set<Int> = []
    ) {
        let names = Set(readers.flatMap(\.footer.tenants))
        tenants = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        self.tombstones = tombstones
        self.blockSpans = min(max(1, blockSpans), SegmentFormat.blockRows)
        writer = BlockWriter(compressionLevel: compressionLevel, keyCount: 0)
        let traces = readers.reduce(0) { $0 &+ $1.summary.traceCount }
        footer = SegmentFooter(filter: TraceFilter(traceCount: Int(clamping: min(traces, 1 << 31))))
        for reader in readers { cursors.append(MergeCursor(reader, tenants: tenants, skipping: skipping)) }
    }

    /// Runs to the end.
    ///
    /// - Parameters:
    ///   - write: takes the file's bytes piece by piece, in order.
    ///   - pause: called after each block with the bytes read and written since the call before; throws to stop.
    mutating func run(
        _ identity: SegmentIdentity, compressionLevel: Int32, write: ([UInt8]) throws(DiskError) -> Void,
        pause: (UInt64) throws(MergeError) -> Void
    ) throws(MergeError) -> MergeResult {
        footer.replaces = identity.replaces
        footer.tenants = tenants
        let header = SegmentHeader(identity).encoded
        try put(header, write)
        for cursor in cursors {
            do { try cursor.load() } catch { throw .segment(error) }
            hold(cursor)
        }
        var accounted: UInt64 = 0
        while let key = cursors.compactMap(\.key).min() {
            if try !dropDeleted(key) { try mergeTrace(key, write) }
            let moved = cursors.reduce(offset) { $0 &+ $1.bytesRead }
            if moved != accounted { try pause(moved &- accounted) }
            accounted = moved
        }
        try flush(write)
        footer.keys = writer.keys
        footer.catalog = catalog.entries
        footer.catalogIsComplete = catalog.isComplete
        let footerBytes = footer.encoded(compressionLevel: compressionLevel)
        let trailer = SegmentTrailer(footerOffset: offset, footer: footerBytes, header: header).encoded
        try put(footerBytes, write)
        try put(trailer, write)
        footer.summary.byteCount = offset
        result.summary = footer.summary
        return result
    }

    private mutating func put(_ bytes: [UInt8], _ write: ([UInt8]) throws(DiskError) -> Void) throws(MergeError) {
        do { try write(bytes) } catch { throw .disk(error) }
        offset &+= UInt64(bytes.count)
    }

    /// Keeps the block that a cursor has at hand until the output block at hand is written.
    private mutating func hold(_ cursor: MergeCursor) {
        guard let loaded = cursor.block else { return }
        cursor.slot = batches.count
        batches.append(loaded.batch)
        arrivals.append(loaded.arrivals)
        tables.add(loaded.batch)
        block.grow(keyCount: tables.keys.distinct, scopeCount: tables.scopes.distinct)
    }

    // MARK: Traces

    /// Steps over the trace where it is deleted; true when nothing of it is left.
    private mutating func dropDeleted(_ key: MergeCursor.Key) throws(MergeError) -> Bool {
        guard !tombstones.isEmpty else { return false }
        for cursor in cursors where cursor.key == key {
            let last = cursor.reader.identity.lastSequence
            guard tombstones.covers(key.id, tenant: cursor.tenant, through: last) else { continue }
            var isLoaded = false
            while cursor.key == key {
                result.deleted &+= UInt64(cursor.spansLeft)
                do { isLoaded = try cursor.skipTrace() || isLoaded } catch { throw .segment(error) }
            }
            if isLoaded { hold(cursor) }
        }
        return !cursors.contains { $0.key == key }
    }

    private mutating func mergeTrace(
        _ key: MergeCursor.Key, _ write: ([UInt8]) throws(DiskError) -> Void
    ) throws(MergeError) {
        let sources = cursors.filter { $0.key == key }
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
            take(source)
            do { if try source.advance() { hold(source) } } catch { throw .segment(error) }
        }
        block.endTrace()
    }

    /// Input blocks behind one output block, beyond which it is written early.
    private var heldBatches: Int { 4 * cursors.count + 16 }

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

    private mutating func take(_ source: MergeCursor) {
        let slot = source.slot
        let row = source.currentRow
        let batch = batches[slot]
        let span = batch.spans[row]
        if span.start != runStart || run.isEmpty {
            run.removeAll(keepingCapacity: true)
            runStart = span.start
        } else if isRepeated(span, row, batch) {
            result.repeated &+= 1
            return
        }
        if run.count == Self.longestRun { run.removeFirst() }
        run.append((slot, row))
        block.append(
            span, arrival: arrivals[slot][row], batch, tables: tables,
            scopeMap: tables.scopes.codes.base + tables.scopeStarts[slot],
            keys: tables.keys.codes.base + tables.keyStarts[slot])
    }

    /// Whether a span of the run has the same id and content; the arrival is no part of it.
    private func isRepeated(_ span: SpanRow, _ row: Int, _ batch: SpanBatch) -> Bool {
        for (slot, other) in run {
            let candidate = batches[slot].spans[other]
            guard candidate.spanID == span.spanID, candidate.end == span.end else { continue }
            if batches[slot].record(other) == batch.record(row) { return true }
        }
        return false
    }

    // MARK: Blocks

    private mutating func flush(_ write: ([UInt8]) throws(DiskError) -> Void) throws(MergeError) {
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
        for cursor in cursors { hold(cursor) }
    }
}
