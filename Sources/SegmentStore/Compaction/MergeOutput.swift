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
    /// Input blocks behind the block at hand, by slot: their columns, and what ``tables`` were made of.
    private var columns: [BlockColumns] = []
    private var batches: [SpanBatch] = []
    private var translations: [BlockTranslation] = []
    /// Whether spans are taken by the run; else by the row, where attributes need columns in common.
    private var takesRuns = true
    private var block = BlockBuilder(keyCount: 0, scopeCount: 0)
    private var writer: BlockWriter
    private var catalog = CatalogBuilder()
    /// By cursor: which of its blocks is held, and where; 0: none.
    private var held: [(block: Int, slot: Int)]
    /// Spans of the trace at hand that were kept and start when the newest of them does.
    private var newest: [(slot: Int, row: Int)] = []
    private var newestStart: UInt64 = 0
    private static let mostNewest = 64

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
        newest.removeAll(keepingCapacity: true)
        block.beginTrace(trace)
        var runs = 0
        while let (source, limit) = Self.first(sources, key) {
            if isFull {
                block.endTrace()
                try flush(write)
                block.beginTrace(trace)
                runs = 0
            }
            let isWhole = sources.count == 1 && runs == 0 && source.isAtStartOfTrace
            let rows = source.rowsLeft
            let taken = try take(source, before: limit, factor)
            runs += 1
            if isWhole, takesRuns, taken == rows.count, let origin = source.block, block.partSpans == taken {
                do { try source.advance(by: taken) } catch { throw .segment(error) }
                if source.key != key { return block.endTrace(as: rows, of: origin) }
            } else {
                do { try source.advance(by: taken) } catch { throw .segment(error) }
            }
        }
        block.endTrace()
    }

    private var isFull: Bool {
        block.entry.spans >= blockSpans || block.textBytes >= SegmentFormat.blockTextBytes
    }

    /// Which source has the earliest span of the trace, among equals the first; and when another one has its next.
    private static func first(_ sources: [MergeCursor], _ key: MergeCursor.Key) -> (MergeCursor, UInt64)? {
        if sources.count == 1 { return sources[0].key == key ? (sources[0], .max) : nil }
        var best: MergeCursor?
        var least = UInt64.max
        var limit = UInt64.max
        for source in sources where source.key == key {
            let start = source.start
            if best == nil || start < least {
                if best != nil { limit = least }
                best = source
                least = start
            } else {
                limit = min(limit, start)
            }
        }
        return best.map { ($0, limit) }
    }

    /// Takes at least the next span of a source, and those after it that start before `limit`, as far as they can be
    /// taken at once. Returns how many were looked at.
    private mutating func take(
        _ source: MergeCursor, before limit: UInt64, _ factor: Double
    ) throws(MergeError) -> Int {
        do throws(SegmentError) {
            guard let slot = try slot(of: source) else { return 1 }
            let origin = columns[slot]
            let left = source.rowsLeft
            let row = left.lowerBound
            if newest.isEmpty || origin.starts[row] != newestStart {
                newest.removeAll(keepingCapacity: true)
                newestStart = origin.starts[row]
            } else if try isRepeated(row, origin) {
                repeated &+= 1
                return 1
            }
            let count = takesRuns ? runLength(left, of: origin, before: limit) : 1
            if takesRuns { appendRun(row..<row + count, slot, factor) } else { try appendRow(row, slot, factor) }
            if count > 1 {
                newest.removeAll(keepingCapacity: true)
                newestStart = origin.starts[row + count - 1]
            } else if newest.count == Self.mostNewest {
                newest.removeFirst()
            }
            newest.append((slot, row + count - 1))
            return count
        } catch { throw .segment(error) }
    }

    /// How many rows can be taken at once: as far as there is room in the block, no other source comes first, and none
    /// starts when the one before does, for that may be a repeat.
    private func runLength(_ rows: Range<Int>, of origin: BlockColumns, before limit: UInt64) -> Int {
        let room = min(rows.count, blockSpans - block.entry.spans)
        let count = origin.starts.withUnsafeBufferPointer { starts in
            var count = 1
            var last = starts[rows.lowerBound]
            while count < room {
                let start = starts[rows.lowerBound + count]
                guard start < limit, start != last else { break }
                last = start
                count += 1
            }
            return count
        }
        let bound = origin.textBound(rows.lowerBound..<rows.lowerBound + count)
        return block.textBytes + bound < SegmentFormat.blockTextBytes ? count : 1
    }

    private mutating func appendRun(_ rows: Range<Int>, _ slot: Int, _ factor: Double) {
        block.append(
            rows, of: columns[slot], translations[slot], factor: factor,
            scopeMap: tables.scopes.codes.base + tables.scopeStarts[slot],
            keys: tables.keys.codes.base + tables.keyStarts[slot])
    }

    private mutating func appendRow(_ row: Int, _ slot: Int, _ factor: Double) throws(SegmentError) {
        let rows = try columns[slot].rows()
        var span = rows.batch.spans[row]
        span.weight *= factor
        block.append(
            span, arrival: rows.arrivals[row], rows.batch, tables: tables,
            scopeMap: tables.scopes.codes.base + tables.scopeStarts[slot],
            keys: tables.keys.codes.base + tables.keyStarts[slot])
    }

    /// Where the block that a cursor has at hand is held, until the output block at hand is written.
    private mutating func slot(of cursor: MergeCursor) throws(SegmentError) -> Int? {
        let known = held[cursor.number]
        if known.block == cursor.nextBlock { return known.slot }
        guard let loaded = cursor.block else { return nil }
        let slot = hold(loaded, takesRuns ? loaded.tables : try loaded.rows().batch)
        held[cursor.number] = (cursor.nextBlock, slot)
        guard takesRuns else { return slot }
        guard block.reserve(loaded, keys: tables.keys.codes.base + tables.keyStarts[slot]) else {
            // From here on by the row: every block is held anew, with all its keys.
            takesRuns = false
            for number in held.indices { held[number] = (0, 0) }
            return try self.slot(of: cursor)
        }
        if slot == translations.count { translations.append(BlockTranslation()) }
        translations[slot].begin(loaded)
        return slot
    }

    private mutating func hold(_ loaded: BlockColumns, _ batch: SpanBatch) -> Int {
        columns.append(loaded)
        batches.append(batch)
        tables.add(batch)
        block.grow(keyCount: tables.keys.distinct, scopeCount: tables.scopes.distinct)
        return batches.count - 1
    }

    /// Whether one of the newest spans has the same id and content; arrival and weight are no part of it.
    private func isRepeated(_ row: Int, _ origin: BlockColumns) throws(SegmentError) -> Bool {
        for (slot, other) in newest {
            let candidate = columns[slot]
            guard candidate.spanIDs[other] == origin.spanIDs[row], candidate.durations[other] == origin.durations[row]
            else { continue }
            let record = try origin.rows().batch.record(row)
            var first = try candidate.rows().batch.record(other)
            first.weight = record.weight
            if first == record { return true }
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
        newest.removeAll(keepingCapacity: true)
        tables = BatchTables([])
        takesRuns = true
        columns.removeAll(keepingCapacity: true)
        batches.removeAll(keepingCapacity: true)
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
