package import Telemetry

/// Reads traces from a ``SpanSource``: one by its id, or many by what their spans look like.
///
/// Holds no state but the source; every call works on the snapshot of parts it takes at its start.
package struct QueryEngine: Sendable {
    package let source: any SpanSource

    package init(source: any SpanSource) { self.source = source }

    /// One trace, assembled from all parts.
    /// - Returns: nil when no part has a span of it.
    package func trace(
        _ traceID: TraceID, tenant: String = BatchOrigin.defaultTenant, budget: QueryBudget
    ) throws(ReadError) -> StoredTrace? {
        try trace(traceID, tenant: tenant, in: source.parts(), budget: budget)
    }

    func trace(
        _ traceID: TraceID, tenant: String, in parts: [any SpanPart], budget: QueryBudget
    ) throws(ReadError) -> StoredTrace? {
        var spans: [SpanRecord] = []
        for part in parts {
            spans += try part.spans(of: traceID, tenant: tenant, budget: budget)
            try charge(0, to: budget)
        }
        return spans.isEmpty ? nil : StoredTrace(traceID: traceID, delivered: spans)
    }

    /// One page of traces that have at least one span matching one of the filters.
    ///
    /// The order is total (``TraceOrder``), so the same search gives the same page as long as nothing new arrives, and
    /// the pages of a search one after another are the whole list.
    /// - Parameters:
    ///   - filters: alternatives, all of one tenant; usually one.
    ///   - limit: traces on the page, at least 1.
    ///   - key: the last key of the page before; nil for the first page.
    package func search(
        _ filters: [SpanFilter], order: TraceOrder = .newestFirst, limit: Int, after key: TraceOrder.Key? = nil,
        budget: QueryBudget
    ) throws(ReadError) -> SearchPage {
        var page = SearchPage()
        var cursor = try cursor(filters, order: order, after: key, budget: budget)
        while let extent = try cursor.next() {
            if page.traces.count == max(limit, 1) {
                page.next = page.traces.last.map { order.key(of: $0) }
                break
            }
            page.traces.append(extent)
        }
        return page
    }

    /// The traces of a search one by one, for callers that stop by a rule of their own.
    package func cursor(
        _ filters: [SpanFilter], order: TraceOrder = .newestFirst, after key: TraceOrder.Key? = nil,
        budget: QueryBudget
    ) throws(ReadError) -> TraceCursor {
        try TraceCursor(parts: source.parts(), filters: filters, order: order, after: key, budget: budget)
    }
}

/// One page of a search.
package struct SearchPage: Hashable, Sendable {
    /// In the order asked for, each with its exact extent over all parts.
    package var traces: [TraceExtent] = []
    /// Where the next page goes on; nil when this is the last.
    package var next: TraceOrder.Key?
}

func charge(_ bytes: Int, to budget: QueryBudget) throws(ReadError) {
    do { try budget.charge(bytes) } catch { throw .stopped(error) }
}
