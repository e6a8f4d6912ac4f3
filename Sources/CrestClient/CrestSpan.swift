internal import Synchronization
public import Tracing

/// A span that is being recorded. Safe from any thread. After `end` it reports once and ignores everything.
public final class CrestSpan: Span {
    public let context: ServiceContext

    private struct State {
        var data: SpanData
        var attributes = SpanAttributes()
        var ended = false
    }

    private let state: Mutex<State>
    private let recorder: SpanRecorder
    private let limits: SpanLimits

    init(_ data: SpanData, context: ServiceContext, recorder: SpanRecorder, limits: SpanLimits) {
        self.context = context
        self.state = Mutex(State(data: data))
        self.recorder = recorder
        self.limits = limits
    }

    public var operationName: String {
        get { state.withLock { $0.data.name } }
        set { update { $0.data.name = newValue } }
    }

    public var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { update { $0.attributes = newValue } }
    }

    public var isRecording: Bool { state.withLock { !$0.ended } }

    /// `ok` is final: an error set later does not replace it.
    public func setStatus(_ status: SpanStatus) {
        update { state in
            guard state.data.status != .ok else { return }
            switch status.code {
            case .ok: state.data.status = .ok
            case .error: state.data.status = .error(status.message ?? "")
            }
        }
    }

    public func addEvent(_ event: SpanEvent) {
        let attributes = convert(event.attributes, limit: limits.attributesPerEvent).attributes
        let limit = limits.events
        update { state in
            guard state.data.events.count < limit else {
                state.data.dropped.events &+= 1
                return
            }
            state.data.events.append(
                .init(event.name, nanoseconds: event.nanosecondsSinceEpoch, attributes: attributes))
        }
    }

    /// Adds an `exception` event with the type and the text of the error. Leaves the status alone.
    public func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        var described: SpanAttributes = [
            "exception.type": .string(String(reflecting: type(of: error))),
            "exception.message": .string(String(describing: error)),
        ]
        described.merge(attributes)
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: described))
    }

    /// A link to a context that is in no trace is ignored.
    public func addLink(_ link: SpanLink) {
        guard let target = link.context.crestTrace else { return }
        let attributes = convert(link.attributes, limit: limits.attributesPerEvent).attributes
        let limit = limits.links
        update { state in
            guard state.data.links.count < limit else {
                state.data.dropped.links &+= 1
                return
            }
            state.data.links.append(
                .init(
                    traceID: target.traceID, spanID: target.spanID, traceState: target.traceState,
                    attributes: attributes))
        }
    }

    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let end = instant().nanosecondsSinceEpoch
        let finished: (SpanData, SpanAttributes)? = state.withLock { state in
            if state.ended { return nil }
            state.ended = true
            // A clock that stepped back must not make a negative duration.
            state.data.endNanoseconds = max(end, state.data.startNanoseconds)
            return (state.data, state.attributes)
        }
        guard let finished else { return }
        var data = finished.0
        (data.attributes, data.dropped.attributes) = convert(finished.1, limit: limits.attributes)
        recorder.record(data)
    }

    private func update(_ change: (inout State) -> Void) {
        state.withLock { state in
            if !state.ended { change(&state) }
        }
    }
}

/// Sorted by key, so that the same span is the same bytes; the first `limit` are kept.
func convert(_ source: SpanAttributes, limit: Int) -> (attributes: [Attribute], dropped: UInt32) {
    var attributes: [Attribute] = []
    source.forEach { key, attribute in
        if let value = AttributeValue(attribute) { attributes.append(Attribute(key, value)) }
    }
    attributes.sort { $0.key < $1.key }
    let dropped = max(0, attributes.count - limit)
    attributes.removeLast(dropped)
    return (attributes, UInt32(clamping: dropped))
}

extension AttributeValue {
    /// Every case of `SpanAttribute`; `nil` only for its placeholder.
    init?(_ attribute: SpanAttribute) {
        switch attribute {
        case .int32(let value): self = .int(Int64(value))
        case .int64(let value): self = .int(value)
        case .double(let value): self = .double(value)
        case .bool(let value): self = .bool(value)
        case .string(let value): self = .string(value)
        case .stringConvertible(let value): self = .string(value.description)
        case .int32Array(let values): self = .intArray(values.map(Int64.init))
        case .int64Array(let values): self = .intArray(values)
        case .doubleArray(let values): self = .doubleArray(values)
        case .boolArray(let values): self = .boolArray(values)
        case .stringArray(let values): self = .stringArray(values)
        case .stringConvertibleArray(let values): self = .stringArray(values.map(\.description))
        default: return nil
        }
    }
}
