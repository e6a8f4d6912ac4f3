public import Tracing

/// A tracer for swift-distributed-tracing that reports through a ``SpanRecorder``.
///
/// ```swift
/// let exporter = try OTLPExporter(.init(endpoint: "http://127.0.0.1:4318"))
/// let tracer = CrestTracer(exporter.recorder(for: Resource(serviceName: "cart")))
/// InstrumentationSystem.bootstrap(tracer)
///
/// try await withSpan("GET /cart", ofKind: .server) { span in
///     span.attributes["user.id"] = "u0000042"
///     ...
/// }
/// ```
///
/// Every span is recorded: Crest decides after the fact, from whole traces, what to keep. The caller's
/// "sampled" flag is passed on as received. Contexts travel in W3C `traceparent` and `tracestate` headers.
public struct CrestTracer: Tracer {
    private let recorder: SpanRecorder
    private let ids: IdentifierSource
    private let limits: SpanLimits

    /// - Parameters:
    ///   - recorder: where finished spans go; it names the service.
    ///   - ids: `.random` except in tests.
    public init(
        _ recorder: SpanRecorder, ids: IdentifierSource = .random, limits: SpanLimits = SpanLimits()
    ) {
        self.recorder = recorder
        self.ids = ids
        self.limits = limits
    }

    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> CrestSpan {
        var context = context()
        let parent = context.crestTrace
        let own = TraceContext(
            traceID: parent?.traceID ?? ids.traceID(), spanID: ids.spanID(), flags: parent?.flags ?? 1,
            traceState: parent?.traceState ?? "")
        context.crestTrace = own
        var data = SpanData(
            traceID: own.traceID, spanID: own.spanID, parentSpanID: parent?.spanID, name: operationName,
            kind: SpanData.Kind(kind), startNanoseconds: instant().nanosecondsSinceEpoch, endNanoseconds: 0)
        data.traceState = own.traceState
        data.flags = UInt32(own.flags) | 0x100 | (parent?.isRemote == true ? 0x200 : 0)
        return CrestSpan(data, context: context, recorder: recorder, limits: limits)
    }

    /// Starts sending what is recorded. Does not wait.
    public func forceFlush() { recorder.flush() }

    /// Reads `traceparent` and `tracestate`. Leaves the context as it is when there is no valid one.
    public func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let header = extractor.extract(key: "traceparent", from: carrier),
            let parent = TraceParent(header)
        else { return }
        let state = extractor.extract(key: "tracestate", from: carrier) ?? ""
        context.crestTrace = TraceContext(
            traceID: parent.traceID, spanID: parent.spanID, flags: parent.flags,
            traceState: state.utf8.count <= limits.traceStateBytes ? state : "", isRemote: true)
    }

    /// Writes `traceparent`, and `tracestate` when there is one. Writes nothing outside a trace.
    public func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let trace = context.crestTrace else { return }
        let parent = TraceParent(traceID: trace.traceID, spanID: trace.spanID, flags: trace.flags)
        injector.inject(parent.description, forKey: "traceparent", into: &carrier)
        if !trace.traceState.isEmpty { injector.inject(trace.traceState, forKey: "tracestate", into: &carrier) }
    }
}

/// How much one span may hold. What is beyond is left out and counted in the span's dropped counts.
public struct SpanLimits: Sendable, Hashable {
    public var attributes = 128
    public var events = 128
    public var links = 128
    public var attributesPerEvent = 64
    /// A longer `tracestate` is not passed on; 512 is what W3C wants at least.
    public var traceStateBytes = 512

    public init() {}
}

extension SpanData.Kind {
    init(_ kind: SpanKind) {
        switch kind {
        case .server: self = .server
        case .client: self = .client
        case .producer: self = .producer
        case .consumer: self = .consumer
        case .internal: self = .internal
        }
    }
}
