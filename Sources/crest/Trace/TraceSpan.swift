/// One span of a trace as the waterfall needs it. Times are Unix nanoseconds.
struct TraceSpan {
    enum Kind: Int64 {
        case unspecified, `internal`, server, client, producer, consumer
    }

    var id: String
    /// Empty for a root.
    var parentID: String
    var service: String
    var name: String
    var kind: Kind
    var start: Int64
    var end: Int64
    var isError: Bool
    var statusMessage: String
    var traceState: String
    /// Which of the trace's resources and scopes it came from, by their place in `TraceDocument`.
    var resource: Int
    var scope: String
    var attributes: [JSONValue]
    var events: [JSONValue]
    var links: [JSONValue]
    var droppedCount: Int64

    var duration: Int64 {
        let (difference, overflow) = end.subtractingReportingOverflow(start)
        return overflow || difference < 0 ? 0 : difference
    }
}

/// A trace as `GET /api/crest/v1/traces/{id}` gives it.
struct TraceDocument {
    /// A resource with its attributes; the service name is one of them.
    struct Resource {
        var service: String
        var attributes: [JSONValue]
    }

    let id: String
    private(set) var resources: [Resource] = []
    private(set) var spans: [TraceSpan] = []
    /// Spans of the trace that the server left out, because the trace is larger than it gives in one answer.
    let cutSpanCount: Int64
    /// Clocks that disagree by a millisecond or more, a line each: `pay on h2 is 35ms ahead of cart on h1`.
    private(set) var clockOffsets: [String] = []

    /// Reads the answer; what is missing in it is empty or zero here.
    init(_ answer: JSONValue, id: String) {
        self.id = answer["traceID"]?.text ?? answer["traceId"]?.text ?? id
        cutSpanCount = answer["cutSpanCount"]?.integer ?? 0
        clockOffsets = Self.clockOffsets(answer["clockOffsets"]?.items ?? [])
        for group in answer["resourceSpans"]?.items ?? [] {
            let attributes = group["resource"]?["attributes"]?.items ?? []
            let service = AttributeText.value(of: "service.name", in: attributes) ?? "unknown_service"
            resources.append(Resource(service: service, attributes: attributes))
            for scoped in group["scopeSpans"]?.items ?? [] {
                let scope = [scoped["scope"]?["name"]?.text, scoped["scope"]?["version"]?.text]
                let scopeText = scope.compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
                for span in scoped["spans"]?.items ?? [] { append(span, service: service, scope: scopeText) }
            }
        }
    }

    /// The largest ones; below a millisecond it is the network as likely as the clock.
    private static func clockOffsets(_ offsets: [JSONValue]) -> [String] {
        func size(_ offset: JSONValue) -> UInt64 { offset["aheadNanos"]?.integer?.magnitude ?? 0 }
        let large = offsets.filter { size($0) >= 1_000_000 }.sorted { size($0) > size($1) }
        let shown = large.prefix(5).map(Self.offset)
        return large.count > shown.count ? shown + ["\(large.count - shown.count) more pairs of hosts disagree"] : shown
    }

    private static func offset(_ offset: JSONValue) -> String {
        func place(_ service: String, _ host: String) -> String {
            let host = offset[host]?.text ?? ""
            return (offset[service]?.text ?? "") + (host.isEmpty ? "" : " on " + host)
        }
        let nanoseconds = offset["aheadNanos"]?.integer ?? 0
        let side = nanoseconds < 0 ? "behind" : "ahead of"
        let length = DurationText.format(nanoseconds: Int64(clamping: nanoseconds.magnitude))
        return "\(place("service", "host")) is \(length) \(side) \(place("parentService", "parentHost"))"
    }

    private mutating func append(_ span: JSONValue, service: String, scope: String) {
        let status = span["status"]
        let code = status?["code"]
        let dropped = ["droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"]
        spans.append(
            TraceSpan(
                id: span["spanId"]?.text ?? span["spanID"]?.text ?? "",
                parentID: Self.parent(span["parentSpanId"]?.text ?? span["parentSpanID"]?.text ?? ""),
                service: service,
                name: span["name"]?.text ?? "",
                kind: Self.kind(span["kind"]),
                start: span["startTimeUnixNano"]?.integer ?? 0,
                end: span["endTimeUnixNano"]?.integer ?? 0,
                isError: code?.integer == 2 || code?.text == "STATUS_CODE_ERROR",
                statusMessage: status?["message"]?.text ?? "",
                traceState: span["traceState"]?.text ?? "",
                resource: resources.count - 1,
                scope: scope,
                attributes: span["attributes"]?.items ?? [],
                events: span["events"]?.items ?? [],
                links: span["links"]?.items ?? [],
                droppedCount: dropped.reduce(0) { $0 &+ (span[$1]?.integer ?? 0) }))
    }

    /// A zero parent id means none.
    private static func parent(_ text: String) -> String { text.allSatisfy { $0 == "0" } ? "" : text }

    private static func kind(_ value: JSONValue?) -> TraceSpan.Kind {
        if let number = value?.integer { return TraceSpan.Kind(rawValue: number) ?? .unspecified }
        switch value?.text {
        case "SPAN_KIND_INTERNAL": return .internal
        case "SPAN_KIND_SERVER": return .server
        case "SPAN_KIND_CLIENT": return .client
        case "SPAN_KIND_PRODUCER": return .producer
        case "SPAN_KIND_CONSUMER": return .consumer
        default: return .unspecified
        }
    }
}
