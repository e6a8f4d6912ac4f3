/// Where every recorded span went. At any moment
/// `ended = acknowledged + sent + rejected + dropped.total + pending`.
public struct SpanStatistics: Sendable, Hashable {
    /// Spans handed to a recorder, whatever became of them.
    public var ended = 0
    /// Spans that the server took: it answered 2xx and did not name them as rejected.
    public var acknowledged = 0
    /// Spans in datagrams that the kernel took. Nobody acknowledges these; the server's ledger says what arrived.
    public var sent = 0
    /// Spans that the server refused one by one (OTLP partial success).
    public var rejected = 0
    /// Spans that never arrived, by reason.
    public var dropped = Dropped()
    /// Spans queued or on their way.
    public var pending = 0
    /// Requests or datagrams sent, repetitions included.
    public var requests = 0
    /// Repetitions alone.
    public var retries = 0
    /// Request bodies or datagrams sent, in bytes, repetitions included.
    public var bytesSent = 0

    public init() {}

    public struct Dropped: Sendable, Hashable {
        /// The queue was at its limit of spans or bytes.
        public var queueFull = 0
        /// A span with an all-zero trace or span id.
        public var invalid = 0
        /// Recorded after `shutdown` began.
        public var closed = 0
        /// The server answered with an error that must not be repeated.
        public var refused = 0
        /// Repeated until the time for repeating was over.
        public var gaveUp = 0
        /// In datagrams that the kernel did not take.
        public var unsent = 0
        /// Still pending when the deadline of `shutdown` passed.
        public var shutdown = 0

        public init() {}

        public var total: Int { queueFull + invalid + closed + refused + gaveUp + unsent + shutdown }
    }
}
