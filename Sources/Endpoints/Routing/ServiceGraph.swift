internal import QueryEngine
internal import SpanPipeline
internal import Telemetry

/// The service graph of a time window, computed from the traces themselves, newest first, within a budget.
struct ServiceGraph {
    let links: [DependencyLink]
    /// Traces the graph was computed from.
    let traceCount: Int
    /// Why older traces of the window are missing; nil when none is.
    let stoppedBy: String?

    /// - Parameter window: unix nanoseconds; traces with a span that starts in it count.
    /// - Throws: when the client went away or the store cannot be read; running out of budget is no error.
    init(_ window: ClosedRange<UInt64>, _ call: Call) throws(ReadError) {
        var linker = DependencyLinker()
        var count = 0
        var stoppedBy: String?
        do {
            try Self.each(window, call) { trace in
                let tree = TraceTree(trace.spans)
                let spans = trace.spans.withPartsMerged(tree)
                linker.add(spans, tree: spans.count == trace.spans.count ? tree : TraceTree(spans))
                count += 1
                return count < Limits.dependencyTraces
            }
            if count >= Limits.dependencyTraces { stoppedBy = "traces" }
        } catch .stopped(.deadline) { stoppedBy = "time" } catch .stopped(.bytes) { stoppedBy = "bytes" } catch {
            throw error
        }
        links = linker.links
        traceCount = count
        self.stoppedBy = stoppedBy
    }

    private static func each(
        _ window: ClosedRange<UInt64>, _ call: Call, _ body: (StoredTrace) -> Bool
    ) throws(ReadError) {
        var filter = SpanFilter()
        filter.tenant = call.context.tenant
        filter.earliestStart = window.lowerBound
        filter.latestStart = window.upperBound
        // A budget of its own, smaller than the query's, so that a partial answer is still given in time.
        let budget = QueryBudget(timeout: .seconds(Limits.dependencySeconds))
        var cursor = try call.context.engine.cursor([filter], budget: budget)
        while let extent = try cursor.next() {
            do { try call.budget.charge(0) } catch { throw .stopped(error) }
            let found = try call.context.engine.trace(
                extent.traceID, tenant: call.context.tenant, budget: budget)
            guard let trace = found else { continue }
            guard body(trace) else { return }
        }
    }

    /// Tells a reader of the response how much stands behind it.
    var headers: [(name: String, value: String)] {
        var headers = [(name: "crest-traces-read", value: String(traceCount))]
        if let stoppedBy { headers.append(("crest-partial", stoppedBy)) }
        return headers
    }
}
