package import Telemetry

/// A trace as the store has it: every span once, in order.
package struct StoredTrace: Hashable, Sendable {
    package let traceID: TraceID
    /// Sorted by start, then span id; at most ``Limits/spansPerTrace``.
    package let spans: [SpanRecord]
    /// Spans beyond ``Limits/spansPerTrace`` that are left out, the latest ones; zero for a whole trace.
    package let cutSpanCount: Int

    package var isCut: Bool { cutSpanCount > 0 }

    /// - Parameter delivered: at least one span, in any order, repeated deliveries included.
    package init(traceID: TraceID, delivered: [SpanRecord], limit: Int = Limits.spansPerTrace) {
        let distinct = withoutRepeats(delivered).sorted(by: precedes)
        self.traceID = traceID
        self.spans = Array(distinct.prefix(limit))
        self.cutSpanCount = distinct.count - self.spans.count
    }
}

/// Start, span id, and then whatever tells two different spans of one id apart, so that the order is always the same.
private func precedes(_ left: SpanRecord, _ right: SpanRecord) -> Bool {
    if left.start != right.start { return left.start < right.start }
    if left.spanID != right.spanID { return left.spanID < right.spanID }
    if left.marks.contains(.shared) != right.marks.contains(.shared) { return right.marks.contains(.shared) }
    if left.kind != right.kind { return left.kind > right.kind }
    if left.end != right.end { return left.end < right.end }
    if left.serviceName != right.serviceName { return left.serviceName < right.serviceName }
    if left.name != right.name { return left.name < right.name }
    return left.arrival < right.arrival
}

/// Keeps of spans with the same id and the same content the one that arrived first. Spans of one id with different
/// content (a client and a server half, or a clash) all stay.
private func withoutRepeats(_ spans: [SpanRecord]) -> [SpanRecord] {
    var firstIndex: [SpanID: Int] = [:]
    firstIndex.reserveCapacity(spans.count)
    var contents: [SpanID: [SpanRecord: Int]] = [:]
    var kept: [SpanRecord] = []
    kept.reserveCapacity(spans.count)
    for span in spans {
        guard let first = firstIndex[span.spanID] else {
            firstIndex[span.spanID] = kept.count
            kept.append(span)
            continue
        }
        // Contents are hashed only for ids that come up twice.
        if contents[span.spanID] == nil { contents[span.spanID] = [timeless(kept[first]): first] }
        if let known = contents[span.spanID]?[timeless(span)] {
            kept[known].arrival = min(kept[known].arrival, span.arrival)
            kept[known].weight = max(kept[known].weight, span.weight)
        } else {
            contents[span.spanID]?[timeless(span)] = kept.count
            kept.append(span)
        }
    }
    return kept
}

/// The span without its arrival and weight, which differ between deliveries of the same content.
private func timeless(_ span: SpanRecord) -> SpanRecord {
    var content = span
    content.arrival = 0
    content.weight = 1
    return content
}
