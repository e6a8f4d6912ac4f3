package import Telemetry

/// One part of the store that a query reads: the head, a head being sealed, or a segment. Does not change while held.
package struct StorePart: Sendable {
    private enum Source {
        case head(HeadSnapshot)
        case segment(SegmentReader, Tombstones)
    }

    private let source: Source

    init(_ head: HeadSnapshot) { source = .head(head) }
    init(_ segment: SegmentReader, hiding tombstones: Tombstones = Tombstones()) {
        source = .segment(segment, tombstones)
    }

    /// Earliest and latest span start, unix nanoseconds.
    package var starts: ClosedRange<UInt64> {
        switch source {
        case .head(let head): head.starts
        case .segment(let segment, _): segment.starts
        }
    }

    package var spanCount: Int {
        switch source {
        case .head(let head): head.spanCount
        case .segment(let segment, _): Int(clamping: segment.summary.spanCount)
        }
    }

    /// The extents, within this part, of all traces with at least one matching span here; each once, in no order.
    package func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        switch source {
        case .head(let head): try head.extents(matching: filter, budget: budget)
        case .segment(let segment, let tombstones):
            try segment.extents(matching: filter, budget: budget).filter {
                !tombstones.covers($0.traceID, tenant: filter.tenant, through: segment.identity.lastSequence)
            }
        }
    }

    /// The extent of one trace within this part; nil when it has no span of it.
    package func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent? {
        switch source {
        case .head(let head): head.extent(of: traceID, tenant: tenant)
        case .segment(let segment, let tombstones):
            tombstones.covers(traceID, tenant: tenant, through: segment.identity.lastSequence)
                ? nil : try segment.extent(of: traceID, tenant: tenant)
        }
    }

    /// All spans of one trace in this part, in no order, repeated deliveries included.
    package func spans(
        of traceID: TraceID, tenant: String, budget: QueryBudget
    ) throws(ReadError) -> [SpanRecord] {
        switch source {
        case .head(let head): try head.spans(of: traceID, tenant: tenant, budget: budget)
        case .segment(let segment, let tombstones):
            tombstones.covers(traceID, tenant: tenant, through: segment.identity.lastSequence)
                ? [] : try segment.spans(of: traceID, tenant: tenant, budget: budget)
        }
    }
}
