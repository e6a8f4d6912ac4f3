/// One observation that leads to a trace. 40 bytes, whatever the sender attached.
package struct Exemplar: Hashable, Sendable {
    package var traceID: TraceID
    /// Zero when the sender named no span.
    package var spanID: SpanID
    package var value: Double
    /// Unix time.
    package var nanoseconds: Int64

    package init(traceID: TraceID, spanID: SpanID = SpanID(0), value: Double, nanoseconds: Int64) {
        self.traceID = traceID
        self.spanID = spanID
        self.value = value
        self.nanoseconds = nanoseconds
    }
}

/// The exemplar of one classic bucket.
package struct BucketExemplar: Hashable, Sendable {
    /// Position among the classic buckets; zero for counters.
    package var bucket: Int
    package var exemplar: Exemplar

    package init(bucket: Int, exemplar: Exemplar) {
        self.bucket = bucket
        self.exemplar = exemplar
    }
}
