internal import QueryEngine
internal import SpanPipeline
internal import Telemetry

extension Call {
    /// The trace id in the path's first parameter; nil when it is not 1 to 32 hexadecimal digits or is zero.
    var traceID: TraceID? {
        path.first.flatMap { TraceID(hex: $0) }.flatMap { $0.isZero ? nil : $0 }
    }

    func trace(_ traceID: TraceID) throws(ReadError) -> StoredTrace? {
        try context.engine.trace(traceID, tenant: context.tenant, budget: budget)
    }

    /// The summaries of a page. A trace that went away since the search keeps its extent and no more.
    func summaries(of extents: [TraceExtent]) throws(ReadError) -> [TraceSummary] {
        var summaries: [TraceSummary] = []
        summaries.reserveCapacity(extents.count)
        for extent in extents {
            let trace = try trace(extent.traceID)
            let spans = trace?.spans ?? []
            var summary = TraceSummary(traceID: extent.traceID, spans: spans, tree: TraceTree(spans))
            summary.start = extent.start
            summary.duration = extent.duration
            summary.spanCount += trace?.cutSpanCount ?? 0
            summaries.append(summary)
        }
        return summaries
    }

    func failure(_ error: ReadError) -> Response { dialect.readFailure(error, for: request) }
}

extension Response {
    /// Says in a header how many spans are left out, for dialects that have no place for it in the body.
    mutating func markCut(_ traces: [StoredTrace]) {
        let count = traces.reduce(0) { $0 + $1.cutSpanCount }
        if count > 0 { headers.append(("crest-cut-spans", String(count))) }
    }
}

extension StoredTrace {
    var summary: TraceSummary {
        var summary = TraceSummary(traceID: traceID, spans: spans, tree: TraceTree(spans))
        summary.spanCount += cutSpanCount
        return summary
    }
}
