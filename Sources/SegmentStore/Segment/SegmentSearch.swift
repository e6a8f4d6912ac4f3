internal import Bytes
package import Telemetry

extension SegmentReader {
    /// The extents of all traces with at least one span that matches; see ``SpanFilter/matches(_:)``.
    ///
    /// A trace's extent covers all its spans in this segment. Order: by trace id. Blocks are skipped by the directory,
    /// then by their value filters, then by dictionaries; columns are read from the cheapest to the dearest. The budget
    /// is charged once a block.
    package func extents(
        matching filter: SpanFilter, budget: QueryBudget
    ) throws(ReadError) -> [TraceExtent] {
        let search = BlockSearch(filter)
        guard let tenant = footer.tenants.firstIndex(of: filter.tenant), mayMatch(search, tenant: tenant) else {
            budget.plan.noteWithoutNames(blocks: blockCount)
            return []
        }
        let inflater = PieceInflater()
        var result: [TraceExtent] = []
        for (index, entry) in footer.blocks.enumerated() where entry.tenant == tenant {
            guard search.mayMatch(entry) else {
                budget.plan.noteBlock(.bounds, bytes: 0)
                continue
            }
            var block = block(index, inflater)
            var outcome = QueryPlan.BlockOutcome.values
            do {
                if try search.mayMatch(valuesOf: &block) {
                    let found = try search.extents(in: &block)
                    outcome = found.isEmpty ? .readInVain : .matched
                    for extent in found where result.last?.traceID != extent.traceID { result.append(extent) }
                }
            } catch {
                throw .storage(error.description)
            }
            budget.plan.noteBlock(outcome, bytes: block.bytesRead)
            do { try budget.charge(block.bytesRead) } catch { throw .stopped(error) }
        }
        return result
    }

    /// Whether the catalog knows service and operation at all.
    private func mayMatch(_ search: BlockSearch, tenant: Int) -> Bool {
        guard footer.catalogIsComplete, search.service != nil || search.operation != nil else { return true }
        return footer.catalog.contains { entry in
            entry.tenant == tenant && search.service?.matches(entry.service[...]) != false
                && search.operation?.matches(entry.operation[...]) != false
        }
    }
}

/// A filter prepared for blocks.
struct BlockSearch {
    struct Tag {
        var key: TextNeedle
        /// Nil: the key only has to be there.
        var value: TextNeedle?
    }

    let filter: SpanFilter
    let service: TextNeedle?
    let operation: TextNeedle?
    let tags: [Tag]
    private let values: ValueSearch

    init(_ filter: SpanFilter) {
        self.filter = filter
        service = filter.service.map { TextNeedle($0) }
        operation = filter.operation.map { TextNeedle($0) }
        tags = filter.tags.map { Tag(key: TextNeedle($0.key), value: $0.value.map { TextNeedle($0) }) }
        values = ValueSearch(filter)
    }

    /// What the value filter can rule out.
    func mayMatch(valuesOf block: inout BlockReader) throws(SegmentError) -> Bool {
        if values.isEmpty { return true }
        let entry = block.entry
        return try block.valueFilter { values.mayMatch($0, entry) } ?? true
    }

    /// What the directory alone can rule out.
    func mayMatch(_ entry: BlockEntry) -> Bool {
        if let earliest = filter.earliestStart, entry.latestStart < earliest { return false }
        if let latest = filter.latestStart, entry.earliestStart > latest { return false }
        if let least = filter.minDuration, entry.longestDuration < least { return false }
        if filter.error == true, !entry.hasError { return false }
        return true
    }

    /// Extents of the block's traces with a matching span, in order.
    func extents(in block: inout BlockReader) throws(SegmentError) -> [TraceExtent] {
        var rows = RowMask(count: block.entry.spans, filled: true)
        try keepService(&rows, &block)
        if rows.isEmpty { return [] }
        try keepOperation(&rows, &block)
        if rows.isEmpty { return [] }
        try keepNumbers(&rows, &block)
        for tag in tags {
            if rows.isEmpty { return [] }
            var found = RowMask(count: rows.count, filled: false)
            try TagSearch(filter: filter, tag: tag).mark(&found, in: &block)
            rows.formIntersection(found)
        }
        if rows.isEmpty { return [] }
        let traces = try BlockTraces(&block)
        try keepStarts(&rows, &block, traces)
        var result: [TraceExtent] = []
        for trace in 0..<traces.count where rows.containsAny(traces.firstRows[trace]..<traces.firstRows[trace + 1]) {
            result.append(traces.extent(trace))
        }
        return result
    }

    private func keepService(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        guard let service else { return }
        let count = block.entry.resources
        let names = try block.strings(ColumnID.resourceService, count: count, rows: 0..<count)
        let resources = (0..<count).map { service.matches(names.value(names.index($0))) }
        let scopes = try ScopeMatches(&block, resources: resources)
        try scopes.keep(&rows, &block)
    }

    private func keepOperation(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        guard let operation else { return }
        let count = rows.count
        let names = try block.strings(ColumnID.name, count: count, rows: 0..<count)
        let wanted = (0..<names.valueCount).map { operation.matches(names.value($0)) }
        guard wanted.contains(true) else { return rows.removeAll() }
        rows.keep { wanted[names.index($0)] }
    }

    private func keepNumbers(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        let count = rows.count
        if let kind = filter.kind {
            let kinds = try block.integers(ColumnID.kind, count: count, rows: 0..<count)
            rows.keep { kinds[$0] == UInt64(kind.rawValue) }
        }
        if let error = filter.error {
            let statuses = try block.integers(ColumnID.status, count: count, rows: 0..<count)
            rows.keep { (statuses[$0] == UInt64(SpanStatus.error.rawValue)) == error }
        }
    }

    /// Start, and duration, which is zero for an end before the start.
    private func keepStarts(
        _ rows: inout RowMask, _ block: inout BlockReader, _ traces: BlockTraces
    ) throws(SegmentError) {
        let entry = block.entry
        let earliest = filter.earliestStart ?? 0
        let latest = filter.latestStart ?? .max
        let hasDuration = filter.minDuration != nil || filter.maxDuration != nil
        guard hasDuration || entry.earliestStart < earliest || entry.latestStart > latest else { return }
        let count = rows.count
        let spanIDs = try block.integers(ColumnID.spanID, count: count, rows: 0..<count)
        let starts = try BlockStarts(&block, traces, traces: 0..<traces.count, spanIDs: spanIDs).starts
        let durations = try block.integers(ColumnID.duration, count: count, rows: 0..<count)
        let filter = filter
        rows.keep { row in
            let start = starts[row]
            guard start >= earliest, start <= latest else { return false }
            let end = start &+ durations[row]
            let duration = end > start ? end - start : 0
            return duration >= filter.minDuration ?? 0 && duration <= filter.maxDuration ?? .max
        }
    }
}

/// Which scopes of a block match, by themselves or by their resource.
struct ScopeMatches {
    private(set) var scopes: [Bool]

    /// Scopes whose resource matches.
    init(_ block: inout BlockReader, resources: [Bool]) throws(SegmentError) {
        let count = block.entry.scopes
        scopes = [Bool](repeating: false, count: count)
        guard resources.contains(true) else { return }
        let resourceOf = try block.integers(ColumnID.scopeResource, count: count, rows: 0..<count)
        for scope in 0..<count {
            guard resourceOf[scope] < UInt64(resources.count) else { throw block.damage("resource beyond the block") }
            scopes[scope] = resources[Int(resourceOf[scope])]
        }
    }

    init(scopes: [Bool]) { self.scopes = scopes }

    func keep(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        guard scopes.contains(true) else { return rows.removeAll() }
        guard scopes.contains(false) else { return }
        let column = try codes(&block)
        rows.keep { scopes[Int(column[$0])] }
    }

    func mark(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        guard scopes.contains(true) else { return }
        let column = try codes(&block)
        for row in 0..<rows.count where scopes[Int(column[row])] { rows.insert(row) }
    }

    private func codes(_ block: inout BlockReader) throws(SegmentError) -> IntegerColumn {
        let count = block.entry.spans
        let column = try block.integers(ColumnID.scope, count: count, rows: 0..<count)
        for row in 0..<count where column[row] >= UInt64(scopes.count) {
            throw block.damage("scope beyond the block")
        }
        return column
    }
}

/// A set of rows of one block.
struct RowMask {
    private var flags: [Bool]

    init(count: Int, filled: Bool) { flags = [Bool](repeating: filled, count: count) }

    var count: Int { flags.count }
    var isEmpty: Bool { !flags.contains(true) }

    mutating func insert(_ row: Int) { flags[row] = true }
    mutating func removeAll() { flags = [Bool](repeating: false, count: flags.count) }

    mutating func keep(_ condition: (Int) -> Bool) {
        for row in flags.indices where flags[row] && !condition(row) { flags[row] = false }
    }

    mutating func formIntersection(_ other: RowMask) {
        for row in flags.indices where !other.flags[row] { flags[row] = false }
    }

    func containsAny(_ rows: Range<Int>) -> Bool { flags[rows].contains(true) }
}
