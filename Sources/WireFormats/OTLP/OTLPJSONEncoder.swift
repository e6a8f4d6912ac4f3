package import Telemetry

/// Writes spans as OTLP JSON: `{"resourceSpans":[...]}`, one entry for each resource and scope in the order they occur.
///
/// Ids are lower-case hexadecimal, 64-bit integers strings, enums integers. Fields with their default are left out.
/// What ``decodeOTLPTracesJSON(_:origin:)`` reads back is the same span, but for marks, weight and arrival.
/// Source: schemas/wire/otlp.md, "JSON".
package func encodeOTLPTracesJSON(_ spans: [SpanRecord]) -> [UInt8] {
    var json = JSONWriter(reserving: 128 + spans.count * 1_024)
    writeOTLPTraces(spans, to: &json)
    return json.bytes
}

/// The same as one value of a larger text.
package func writeOTLPTraces(_ spans: [SpanRecord], to json: inout JSONWriter) {
    json.beginObject()
    json.key("resourceSpans")
    json.beginArray()
    for (resource, spans) in grouped(spans, by: \.resource) {
        json.beginObject()
        json.key("resource")
        json.beginObject()
        write(resource.attributes, resource.droppedAttributes, to: &json)
        json.endObject()
        json.key("scopeSpans")
        json.beginArray()
        for (scope, spans) in grouped(spans, by: \.scope) { write(scope, spans, to: &json) }
        json.endArray()
        if !resource.schemaURL.isEmpty { json.string("schemaUrl", resource.schemaURL) }
        json.endObject()
    }
    json.endArray()
    json.endObject()
}

private func write(_ scope: Scope, _ spans: [SpanRecord], to json: inout JSONWriter) {
    json.beginObject()
    json.key("scope")
    json.beginObject()
    if !scope.name.isEmpty { json.string("name", scope.name) }
    if !scope.version.isEmpty { json.string("version", scope.version) }
    write(scope.attributes, scope.droppedAttributes, to: &json)
    json.endObject()
    json.key("spans")
    json.beginArray()
    for span in spans { write(span, to: &json) }
    json.endArray()
    if !scope.schemaURL.isEmpty { json.string("schemaUrl", scope.schemaURL) }
    json.endObject()
}

private func write(_ span: SpanRecord, to json: inout JSONWriter) {
    json.beginObject()
    json.string("traceId", span.traceID.hex32)
    json.string("spanId", span.spanID.hex)
    if !span.traceState.isEmpty { json.string("traceState", span.traceState) }
    if let parent = span.parentID { json.string("parentSpanId", parent.hex) }
    if span.flags != 0 { json.number("flags", Int(span.flags)) }
    json.string("name", span.name)
    if span.kind != 0 { json.number("kind", Int(span.kind)) }
    json.string("startTimeUnixNano", String(span.start))
    json.string("endTimeUnixNano", String(span.end))
    write(span.attributes, span.droppedAttributes, to: &json)
    if !span.events.isEmpty {
        json.key("events")
        json.beginArray()
        for event in span.events { write(event, to: &json) }
        json.endArray()
    }
    if span.droppedEvents != 0 { json.number("droppedEventsCount", Int(span.droppedEvents)) }
    if !span.links.isEmpty {
        json.key("links")
        json.beginArray()
        for link in span.links { write(link, to: &json) }
        json.endArray()
    }
    if span.droppedLinks != 0 { json.number("droppedLinksCount", Int(span.droppedLinks)) }
    json.key("status")
    json.beginObject()
    if !span.statusMessage.isEmpty { json.string("message", span.statusMessage) }
    if span.status != 0 { json.number("code", Int(span.status)) }
    json.endObject()
    json.endObject()
}

private func write(_ event: SpanEvent, to json: inout JSONWriter) {
    json.beginObject()
    json.string("timeUnixNano", String(event.time))
    if !event.name.isEmpty { json.string("name", event.name) }
    write(event.attributes, event.droppedAttributes, to: &json)
    json.endObject()
}

private func write(_ link: SpanLink, to json: inout JSONWriter) {
    json.beginObject()
    if !link.traceID.isZero { json.string("traceId", link.traceID.hex32) }
    if !link.spanID.isZero { json.string("spanId", link.spanID.hex) }
    if !link.traceState.isEmpty { json.string("traceState", link.traceState) }
    if link.flags != 0 { json.number("flags", Int(link.flags)) }
    write(link.attributes, link.droppedAttributes, to: &json)
    json.endObject()
}

/// The two attribute fields of an owner, whose object is open.
private func write(_ attributes: [Attribute], _ dropped: UInt32, to json: inout JSONWriter) {
    if !attributes.isEmpty {
        json.key("attributes")
        writePairs(attributes, to: &json)
    }
    if dropped != 0 { json.number("droppedAttributesCount", Int(dropped)) }
}

private func writePairs(_ attributes: [Attribute], to json: inout JSONWriter) {
    json.beginArray()
    for attribute in attributes {
        json.beginObject()
        json.string("key", attribute.key)
        json.key("value")
        write(attribute.value, to: &json)
        json.endObject()
    }
    json.endArray()
}

/// One `AnyValue`. Records nest no deeper than ``Limits/nestingDepth``.
private func write(_ value: AttributeValue, to json: inout JSONWriter) {
    json.beginObject()
    switch value {
    case .empty: break
    case .string(let text): json.string("stringValue", text)
    case .bool(let flag): json.bool("boolValue", flag)
    case .int(let number): json.string("intValue", String(number))
    case .double(let number): json.number("doubleValue", number)
    case .bytes(let bytes): json.string("bytesValue", AttributeText.base64(bytes))
    case .array(let elements):
        json.key("arrayValue")
        json.beginObject()
        json.key("values")
        json.beginArray()
        for element in elements { write(element, to: &json) }
        json.endArray()
        json.endObject()
    case .map(let entries):
        json.key("kvlistValue")
        json.beginObject()
        json.key("values")
        writePairs(entries, to: &json)
        json.endObject()
    }
    json.endObject()
}
