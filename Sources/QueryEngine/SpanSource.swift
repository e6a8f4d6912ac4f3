package import Telemetry

/// One part of the store that a query reads: the head in memory, or one sealed segment.
///
/// Immutable or a snapshot: what a part answers does not change while a query holds it, even when its file is
/// unlinked meanwhile. Safe from several threads at once.
package protocol SpanPart: Sendable {
    /// Earliest and latest span start in the part (unix ns); a query outside of it skips the part. A range that is
    /// wider than the spans is allowed and costs time only; a narrower one loses results.
    var starts: ClosedRange<UInt64> { get }
    var spanCount: Int { get }

    /// The traces that have at least one matching span here, each once, with its whole extent within this part
    /// (spans that do not match included). In no order. An empty filter but for the tenant matches everything.
    func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent]
    /// The extent of one trace within this part; nil when the part has no span of it.
    func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent?
    /// All spans of one trace in this part, in no order, repeated deliveries included.
    func spans(of traceID: TraceID, tenant: String, budget: QueryBudget) throws(ReadError) -> [SpanRecord]
}

/// Where queries read from. Every call sees all that was acknowledged before it.
package protocol SpanSource: Sendable {
    /// A snapshot of all parts, none missing and none twice: a span is in exactly one of them, unless it was
    /// delivered more than once.
    func parts() -> [any SpanPart]
    /// Names of services seen, sorted.
    func services(tenant: String) -> [String]
    /// Operations of one service (of all when nil), sorted by name and kind.
    func operations(service: String?, tenant: String) -> [Operation]
}
