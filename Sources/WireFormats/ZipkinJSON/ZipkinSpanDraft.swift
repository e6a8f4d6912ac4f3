internal import Telemetry

/// A Zipkin span as far as it has been read, and the rules that make a record of it.
struct ZipkinSpanDraft {
    let arrival: UInt64
    var traceID: TraceID?
    var spanID: SpanID?
    var parentID: SpanID?
    /// The first defect of an id.
    var idDefect: SpanRejection?
    var kind = SpanKind.unspecified
    var name = ""
    /// Microseconds; 0 for absent.
    var timestamp: UInt64 = 0
    var duration: UInt64 = 0
    var service = ""
    /// Attributes that the endpoints become; they stand before the tags, the local ones first.
    var localEndpoint: [Attribute] = []
    var remoteEndpoint: [Attribute] = []
    var tags: [Attribute] = []
    var droppedTags: UInt32 = 0
    var events: [SpanEvent] = []
    var droppedEvents: UInt32 = 0
    var marks = SpanMarks()
    /// Whether a field only version 1, or only version 2 has was seen.
    var hasVersion1Field = false
    var hasVersion2Field = false

    var isVersion1: Bool { hasVersion1Field && !hasVersion2Field }

    var defect: SpanRejection? {
        if let idDefect { return idDefect }
        guard let traceID, let spanID else { return isVersion1 ? nil : .badIDLength }
        if traceID.isZero { return .zeroTraceID }
        return spanID.isZero ? .zeroSpanID : nil
    }

    /// Adds an event; one without a value, beyond 64 bits of nanoseconds or one too many is dropped and counted.
    mutating func addAnnotation(_ microseconds: UInt64, _ value: String?) {
        if let value, let time = zipkinNanoseconds(microseconds), events.count < Limits.eventsPerSpan {
            events.append(SpanEvent(time: time, name: value))
        } else {
            droppedEvents &+= 1
            marks.insert(.truncated)
        }
    }

    /// Adds a tag; one without a key or one too many is dropped and counted.
    mutating func addTag(_ key: String, _ value: AttributeValue) {
        if !key.isEmpty, tags.count < Limits.attributesPerSpan - ZipkinEndpoint.attributeLimit {
            tags.append(Attribute(key, value))
        } else {
            droppedTags &+= 1
            marks.insert(.truncated)
        }
    }

    /// Nil when the times do not fit 64 bits of nanoseconds.
    var record: SpanRecord? {
        guard let traceID, let spanID, let times = nanoseconds else { return nil }
        var marks = marks.union(times.marks)
        if traceID.high == 0 { marks.insert(.shortTraceID) }
        if kind == .client { marks.remove(.shared) }
        let parent = parentID.flatMap { $0.isZero || $0 == spanID ? nil : $0 }
        let status = status
        return SpanRecord(
            traceID: traceID, spanID: spanID, parentID: parent, name: name, kind: kind.rawValue, start: times.start,
            end: times.end, status: status.code.rawValue, statusMessage: status.message,
            attributes: localEndpoint + remoteEndpoint + tags, events: events, droppedAttributes: droppedTags,
            droppedEvents: droppedEvents, marks: marks)
    }

    private var nanoseconds: (start: UInt64, end: UInt64, marks: SpanMarks)? {
        var marks = SpanMarks()
        var start = arrival
        if timestamp == 0 {
            marks.insert(.noStart)
        } else {
            guard let time = zipkinNanoseconds(timestamp) else { return nil }
            start = time
        }
        if duration == 0 { marks.insert(.noDuration) }
        guard let length = zipkinNanoseconds(duration) else { return nil }
        let (end, overflow) = start.addingReportingOverflow(length)
        return overflow ? nil : (start, end, marks)
    }

    /// A tag `error` makes an error whatever its value; the value is the message unless it only says so.
    private var status: (code: SpanStatus, message: String) {
        var code = SpanStatus.unset
        for tag in tags {
            guard case .string(let value) = tag.value else { continue }
            if tag.key == "error" { return (.error, value == "true" ? "" : value) }
            if tag.key == "otel.status_code" { code = value == "ERROR" ? .error : value == "OK" ? .ok : .unset }
        }
        return (code, "")
    }
}

/// Microseconds as nanoseconds; nil beyond 64 bits.
func zipkinNanoseconds(_ microseconds: UInt64) -> UInt64? {
    let (product, overflow) = microseconds.multipliedReportingOverflow(by: 1_000)
    return overflow ? nil : product
}
