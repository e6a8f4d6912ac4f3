package import Telemetry

/// Writes traces as the Jaeger v1 API answers them: `{"data":[...],"total":N,"limit":0,"offset":0,"errors":null}`.
///
/// - Parameters:
///   - traces: the spans of one trace each, in any order; empty ones are left out.
///   - missing: trace ids that were asked for and are unknown; they go to `errors`.
///   - indent: spaces a level, for `prettyPrint`.
/// - Source: schemas/wire/jaeger-v1.md.
package func encodeJaegerTraces(
    _ traces: [[SpanRecord]], missing: [TraceID] = [], indent: Int = 0
) -> [UInt8] {
    let spanCount = traces.reduce(0) { $0 + $1.count }
    var json = JSONWriter(reserving: 128 + spanCount * 1_536, indent: indent)
    json.beginObject()
    json.key("data")
    json.beginArray()
    for trace in traces where !trace.isEmpty { writeJaegerTrace(trace, to: &json) }
    json.endArray()
    json.number("total", traces.count)
    json.number("limit", 0)
    json.number("offset", 0)
    writeErrors(missing, to: &json)
    json.endObject()
    return json.bytes
}

private func writeErrors(_ missing: [TraceID], to json: inout JSONWriter) {
    guard !missing.isEmpty else { return json.null("errors") }
    json.key("errors")
    json.beginArray()
    for id in missing {
        json.beginObject()
        json.number("code", 404)
        json.string("msg", "trace not found")
        json.string("traceID", id.hexShort)
        json.endObject()
    }
    json.endArray()
}

/// Writes one trace object: its spans by start, and the processes they name as `p1`, `p2` ...
///
/// - Parameters:
///   - spans: at least one span, all of one trace.
///   - skews: nanoseconds by which each span's clock seems to be behind; empty when nobody looked.
package func writeJaegerTrace(_ spans: [SpanRecord], skews: [Int64] = [], to json: inout JSONWriter) {
    guard let first = spans.first else { return }
    let ordered = spans.indices.sorted {
        (spans[$0].start, spans[$0].spanID) < (spans[$1].start, spans[$1].spanID)
    }
    var processes: [Resource] = []
    var processIndices: [Resource: Int] = [:]
    json.beginObject()
    json.string("traceID", first.traceID.hexShort)
    json.key("spans")
    json.beginArray()
    for place in ordered {
        let span = spans[place]
        let index = processIndices[span.resource] ?? processes.count
        if index == processes.count {
            processIndices[span.resource] = index
            processes.append(span.resource)
        }
        write(span, process: index, skew: place < skews.count ? skews[place] : 0, to: &json)
    }
    json.endArray()
    json.key("processes")
    json.beginObject()
    for (index, resource) in processes.enumerated() {
        json.key(escaping: "p\(index + 1)")
        json.beginObject()
        json.string("serviceName", resource.serviceName)
        json.key("tags")
        json.beginArray()
        for attribute in resource.attributes where attribute.key != "service.name" { write(attribute, to: &json) }
        json.endArray()
        json.endObject()
    }
    json.endObject()
    json.null("warnings")
    json.endObject()
}

private func write(_ span: SpanRecord, process: Int, skew: Int64, to json: inout JSONWriter) {
    json.beginObject()
    json.string("traceID", span.traceID.hexShort)
    json.string("spanID", span.spanID.hex)
    json.number("flags", Int(span.flags & 0xff) | (span.marks.contains(.debug) ? 2 : 0))
    json.string("operationName", span.name)
    writeReferences(span, to: &json)
    json.number("startTime", span.start / 1_000)
    json.number("duration", span.duration / 1_000)
    json.key("tags")
    json.beginArray()
    for attribute in span.attributes { write(attribute, to: &json) }
    for attribute in derivedTags(span) { write(attribute, to: &json) }
    json.endArray()
    json.key("logs")
    json.beginArray()
    for event in span.events { write(event, to: &json) }
    json.endArray()
    json.string("processID", "p\(process + 1)")
    writeWarnings(span, skew: skew, to: &json)
    json.endObject()
}

/// The parent, then the links; links without ids are left out.
private func writeReferences(_ span: SpanRecord, to json: inout JSONWriter) {
    json.key("references")
    json.beginArray()
    if let parent = span.parentID { writeReference("CHILD_OF", span.traceID, parent, to: &json) }
    for link in span.links where !link.traceID.isZero && !link.spanID.isZero {
        let isChild = link.attributes.contains(Attribute("opentracing.ref_type", .string("child_of")))
        writeReference(isChild ? "CHILD_OF" : "FOLLOWS_FROM", link.traceID, link.spanID, to: &json)
    }
    json.endArray()
}

private func writeReference(_ type: String, _ trace: TraceID, _ span: SpanID, to json: inout JSONWriter) {
    json.beginObject()
    json.string("refType", type)
    json.string("traceID", trace.hexShort)
    json.string("spanID", span.hex)
    json.endObject()
}

private func write(_ event: SpanEvent, to json: inout JSONWriter) {
    json.beginObject()
    json.number("timestamp", event.time / 1_000)
    json.key("fields")
    json.beginArray()
    if !event.name.isEmpty { write(Attribute("event", .string(event.name)), to: &json) }
    for attribute in event.attributes { write(attribute, to: &json) }
    json.endArray()
    json.endObject()
}

/// What OTLP has fields for and Jaeger has tags. An attribute of the same name is not repeated.
private func derivedTags(_ span: SpanRecord) -> [Attribute] {
    var tags: [Attribute] = []
    func add(_ key: String, _ value: AttributeValue) {
        if !span.attributes.contains(where: { $0.key == key }) { tags.append(Attribute(key, value)) }
    }
    if let kind = SpanKind(rawValue: span.kind), kind != .unspecified { add("span.kind", .string(kind.label)) }
    switch SpanStatus(rawValue: span.status) {
    case .error:
        add("otel.status_code", .string("ERROR"))
        add("error", .bool(true))
    case .ok: add("otel.status_code", .string("OK"))
    case .unset, nil: break
    }
    if !span.statusMessage.isEmpty { add("otel.status_description", .string(span.statusMessage)) }
    if !span.scope.name.isEmpty { add("otel.scope.name", .string(span.scope.name)) }
    if !span.scope.version.isEmpty { add("otel.scope.version", .string(span.scope.version)) }
    for attribute in span.scope.attributes { add(attribute.key, attribute.value) }
    if !span.traceState.isEmpty { add("w3c.tracestate", .string(span.traceState)) }
    return tags
}

/// `null`, or what the reader of this span should know.
private func writeWarnings(_ span: SpanRecord, skew: Int64, to json: inout JSONWriter) {
    var warnings: [String] = []
    let dropped = (span.droppedAttributes, span.droppedEvents, span.droppedLinks)
    if dropped != (0, 0, 0) {
        warnings.append("dropped: \(dropped.0) attributes, \(dropped.1) events, \(dropped.2) links")
    }
    if span.marks.contains(.truncated) { warnings.append("attributes, events or values were cut to the limits") }
    if span.marks.contains(.noStart) { warnings.append("no start time was sent; shown is the time of arrival") }
    if span.end < span.start { warnings.append("the end lies before the start") }
    // The words of Jaeger itself, which its users search for.
    if skew != 0 {
        let delta = goDuration(nanoseconds: skew)
        warnings.append("clock skew adjustment disabled; not applying calculated delta of \(delta)")
    }
    guard !warnings.isEmpty else { return json.null("warnings") }
    json.key("warnings")
    json.beginArray()
    for warning in warnings { json.string(warning) }
    json.endArray()
}

/// A tag: key, type and value.
private func write(_ attribute: Attribute, to json: inout JSONWriter) {
    json.beginObject()
    json.string("key", attribute.key)
    switch attribute.value {
    case .bool(let flag):
        json.string("type", "bool")
        json.bool("value", flag)
    case .int(let number):
        json.string("type", "int64")
        // JavaScript holds integers exactly up to 2^53 - 1; larger ones go as text.
        if number.magnitude < 1 << 53 {
            json.number("value", number)
        } else {
            json.string("value", String(number))
        }
    case .double(let number):
        json.string("type", "float64")
        json.number("value", number)
    case .bytes(let bytes):
        json.string("type", "binary")
        json.string("value", AttributeText.base64(bytes))
    case .string, .empty, .array, .map:
        json.string("type", "string")
        json.string("value", AttributeText.text(attribute.value))
    }
    json.endObject()
}
