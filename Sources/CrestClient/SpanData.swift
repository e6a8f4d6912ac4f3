/// One finished span, as it will be reported.
///
/// Most services use ``CrestTracer`` and never build one of these. A gateway that reports for others, a log
/// converter or a simulation does, and hands it to a ``SpanRecorder``:
///
/// ```swift
/// var span = SpanData(
///     traceID: ids.traceID(), spanID: ids.spanID(), name: "GET /cart", kind: .server,
///     startNanoseconds: start, endNanoseconds: end)
/// span.attributes.append(Attribute("http.status_code", 200))
/// recorder.record(span)
/// ```
public struct SpanData: Sendable, Hashable {
    public var traceID: TraceID
    public var spanID: SpanID
    /// `nil` for the root of a trace.
    public var parentSpanID: SpanID?
    /// W3C `tracestate`, passed on as received; empty when there is none.
    public var traceState: String
    /// W3C trace flags in the low byte; OTLP's "parent is remote" bits above (0x100 known, 0x200 remote).
    public var flags: UInt32
    public var name: String
    public var kind: Kind
    /// Nanoseconds since 1970-01-01 UTC.
    public var startNanoseconds: UInt64
    /// Nanoseconds since 1970-01-01 UTC, at or after the start.
    public var endNanoseconds: UInt64
    public var attributes: [Attribute]
    public var events: [Event]
    public var links: [Link]
    public var status: Status
    /// What the program set but a limit of the recorder kept out.
    public var dropped: DroppedCounts

    public init(
        traceID: TraceID, spanID: SpanID, parentSpanID: SpanID? = nil, name: String, kind: Kind = .internal,
        startNanoseconds: UInt64, endNanoseconds: UInt64
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        self.traceState = ""
        self.flags = 0x101
        self.name = name
        self.kind = kind
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
        self.attributes = []
        self.events = []
        self.links = []
        self.status = .unset
        self.dropped = DroppedCounts()
    }

    /// Raw values are OTLP's `SpanKind`.
    public enum Kind: Int, Sendable {
        case `internal` = 1
        case server = 2
        case client = 3
        case producer = 4
        case consumer = 5
    }

    /// How the operation ended. `unset` means that nobody said.
    public enum Status: Sendable, Hashable {
        case unset
        case ok
        case error(String)
    }

    /// Something that happened at one moment of the span.
    public struct Event: Sendable, Hashable {
        public var name: String
        /// Nanoseconds since 1970-01-01 UTC.
        public var nanoseconds: UInt64
        public var attributes: [Attribute]

        public init(_ name: String, nanoseconds: UInt64, attributes: [Attribute] = []) {
            self.name = name
            self.nanoseconds = nanoseconds
            self.attributes = attributes
        }
    }

    /// A span of this or another trace that this one has to do with, other than as its parent.
    public struct Link: Sendable, Hashable {
        public var traceID: TraceID
        public var spanID: SpanID
        public var traceState: String
        public var attributes: [Attribute]

        public init(traceID: TraceID, spanID: SpanID, traceState: String = "", attributes: [Attribute] = []) {
            self.traceID = traceID
            self.spanID = spanID
            self.traceState = traceState
            self.attributes = attributes
        }
    }

    /// How many were left out, each kind on its own, as OTLP reports them.
    public struct DroppedCounts: Sendable, Hashable {
        public var attributes: UInt32 = 0
        public var events: UInt32 = 0
        public var links: UInt32 = 0

        public init() {}
    }
}
