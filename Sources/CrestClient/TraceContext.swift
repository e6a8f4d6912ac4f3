public import Tracing

/// The part of a `ServiceContext` that ties spans together: which trace, which span is the parent.
///
/// ``CrestTracer`` sets it when a span starts and when a request is extracted. Read it to put the trace id
/// into a log line:
///
/// ```swift
/// logger.info("order placed", metadata: ["trace_id": "\(context.crestTrace?.traceID)"])
/// ```
public struct TraceContext: Sendable, Hashable {
    public var traceID: TraceID
    public var spanID: SpanID
    /// W3C flags; bit 0 is "sampled".
    public var flags: UInt8
    /// W3C `tracestate`, as received.
    public var traceState: String
    /// The span runs in another process: the context came in a header.
    public var isRemote: Bool

    public init(traceID: TraceID, spanID: SpanID, flags: UInt8 = 1, traceState: String = "", isRemote: Bool = false) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
        self.traceState = traceState
        self.isRemote = isRemote
    }
}

private enum TraceContextKey: ServiceContextKey {
    typealias Value = TraceContext
    static let nameOverride: String? = "crest-trace"
}

extension ServiceContext {
    /// The trace this work belongs to, if any.
    public var crestTrace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }
}
