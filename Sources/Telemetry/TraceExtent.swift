/// The time a trace covers in some part of the store: unix nanoseconds.
package struct TraceExtent: Hashable, Sendable {
    package let traceID: TraceID
    /// The earliest start of its spans.
    package var start: UInt64
    /// The latest end of its spans.
    package var end: UInt64

    package init(traceID: TraceID, start: UInt64, end: UInt64) {
        self.traceID = traceID
        self.start = start
        self.end = end
    }

    package var duration: UInt64 { end > start ? end - start : 0 }

    /// Widens this extent by what another part knows of the same trace.
    package mutating func merge(_ other: TraceExtent) {
        start = min(start, other.start)
        end = max(end, other.end)
    }
}

/// An operation of a service, as service lists show it.
package struct Operation: Hashable, Sendable {
    package let name: String
    package let kind: SpanKind

    package init(name: String, kind: SpanKind) {
        self.name = name
        self.kind = kind
    }
}
