package import Telemetry

/// The head as one query sees it: the batches that were there when the query began, whatever is added meanwhile.
package struct HeadSnapshot: Sendable {
    private let head: Head
    private let batches: [SpanBatch]
    private let sequences: [UInt64]
    private let tombstones: Tombstones
    /// Earliest and latest span start.
    package let starts: ClosedRange<UInt64>
    package let spanCount: Int

    init(
        head: Head, batches: [SpanBatch], sequences: [UInt64], starts: ClosedRange<UInt64>, spanCount: Int,
        tombstones: Tombstones
    ) {
        self.head = head
        self.batches = batches
        self.sequences = sequences
        self.tombstones = tombstones
        self.starts = starts
        self.spanCount = spanCount
    }

    /// The extents, within the head, of all traces with at least one matching span here; each once.
    package func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        let matcher = BatchMatcher(filter)
        var found: [TraceID] = []
        for (batch, sequence) in zip(batches, sequences) where batch.origin.tenant == filter.tenant {
            do { try budget.charge(batch.spans.count * MemoryLayout<SpanRow>.stride) } catch { throw .stopped(error) }
            matcher.match(batch) { span in
                guard found.last != span.traceID else { return }
                let isHidden = tombstones.covers(span.traceID, tenant: filter.tenant, through: sequence)
                if !isHidden { found.append(span.traceID) }
            }
        }
        return head.withIndex { content in
            guard let tenant = content.tenants.firstIndex(of: filter.tenant) else { return [] }
            var seen = [Bool](repeating: false, count: content.index.entries.count)
            var extents: [TraceExtent] = []
            for traceID in found {
                guard let entry = content.index.find(traceID, tenant: UInt32(truncatingIfNeeded: tenant)),
                    !seen[entry]
                else { continue }
                seen[entry] = true
                if let extent = extent(entry, content, tenant: filter.tenant) { extents.append(extent) }
            }
            return extents
        }
    }

    package func extent(of traceID: TraceID, tenant: String) -> TraceExtent? {
        head.withIndex { content in
            content.entry(traceID, tenant).flatMap { extent($0, content, tenant: tenant) }
        }
    }

    /// The extent of a trace over the spans of this snapshot; nil when all its spans came later.
    private func extent(_ entry: Int, _ content: borrowing Head.Content, tenant: String) -> TraceExtent? {
        let whole = content.index.entries[entry].extent
        let hidden = tombstones.sequence(of: whole.traceID, tenant: tenant)
        if content.batches.count == batches.count, hidden == 0 { return whole }
        var extent: TraceExtent?
        for node in content.index.nodes(of: entry) where isSeen(node, hidden: hidden) {
            let span = batches[Int(node.batch)].spans[Int(node.row)]
            let own = TraceExtent(traceID: span.traceID, start: span.start, end: span.end)
            if extent?.merge(own) == nil { extent = own }
        }
        return extent
    }

    /// Whether a node is of this snapshot and its record came after the last hidden one.
    private func isSeen(_ node: TraceIndex.Node, hidden: UInt64) -> Bool {
        Int(node.batch) < batches.count && sequences[Int(node.batch)] > hidden
    }

    /// All spans of one trace, oldest first.
    package func spans(
        of traceID: TraceID, tenant: String, budget: QueryBudget
    ) throws(ReadError) -> [SpanRecord] {
        let nodes = head.withIndex { content in
            content.entry(traceID, tenant).map { content.index.nodes(of: $0) } ?? []
        }
        let hidden = tombstones.sequence(of: traceID, tenant: tenant)
        var records: [SpanRecord] = []
        records.reserveCapacity(nodes.count)
        for node in nodes.reversed() where isSeen(node, hidden: hidden) {
            if records.count % 256 == 0 {
                do { try budget.charge(256 * MemoryLayout<SpanRow>.stride) } catch { throw .stopped(error) }
            }
            records.append(batches[Int(node.batch)].record(Int(node.row)))
        }
        return records
    }
}
