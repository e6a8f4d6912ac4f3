package import Telemetry

/// What lists show of a trace.
package struct TraceSummary: Hashable, Sendable {
    package struct Service: Hashable, Sendable {
        package var name: String
        package var spanCount: Int
        package var errorCount: Int

        package init(name: String, spanCount: Int, errorCount: Int) {
            self.name = name
            self.spanCount = spanCount
            self.errorCount = errorCount
        }
    }

    package var traceID: TraceID
    /// Of the earliest span without a parent, or else of the earliest whose parent is missing.
    package var rootService: String
    package var rootName: String
    /// Unix nanoseconds: the earliest start of any span.
    package var start: UInt64
    /// Nanoseconds from ``start`` to the latest end.
    package var duration: UInt64
    package var spanCount: Int
    package var errorCount: Int
    /// Spans whose parent is not in the trace.
    package var orphanCount: Int
    /// How many traces like this one it stands for, itself included: more than 1 after thinning.
    package var weight: Double
    /// Sorted by name.
    package var services: [Service]

    /// - Parameter spans: of one trace, sorted by start.
    package init(traceID: TraceID, spans: [SpanRecord], tree: TraceTree) {
        self.traceID = traceID
        let root = tree.roots.first { spans[$0].parentID == nil } ?? tree.roots.first
        rootService = root.map { spans[$0].serviceName } ?? ""
        rootName = root.map { spans[$0].name } ?? ""
        start = spans.map(\.start).min() ?? 0
        let end = spans.map(\.end).max() ?? 0
        duration = end > start ? end - start : 0
        spanCount = spans.count
        errorCount = spans.count { $0.isError }
        orphanCount = tree.orphans.count
        weight = spans.reduce(1) { max($0, $1.weight) }
        var byName: [String: Service] = [:]
        for span in spans {
            byName[span.serviceName, default: Service(name: span.serviceName, spanCount: 0, errorCount: 0)]
                .spanCount += 1
            if span.isError { byName[span.serviceName]?.errorCount += 1 }
        }
        services = byName.values.sorted { $0.name < $1.name }
    }
}
