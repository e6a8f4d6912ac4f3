package import Telemetry

/// Writes spans as a Zipkin v2 JSON list, fields in the order of Zipkin's own writer.
///
/// A span that came in as Zipkin goes out as it came, normalised. Names are written in lower case.
/// Source: schemas/wire/zipkin-v2.md, "Out".
package func encodeZipkinJSON(_ spans: [SpanRecord]) -> [UInt8] {
    var json = JSONWriter(reserving: 16 + spans.count * 512)
    writeZipkinSpans(spans, to: &json)
    return json.bytes
}

/// The same as one value of a larger text, such as a list of traces.
package func writeZipkinSpans(_ spans: [SpanRecord], to json: inout JSONWriter) {
    json.beginArray()
    for span in spans { write(span, to: &json) }
    json.endArray()
}

private func write(_ span: SpanRecord, to json: inout JSONWriter) {
    let parts = ZipkinParts(span)
    json.beginObject()
    json.string("traceId", span.traceID.hexShort)
    if let parent = span.parentID { json.string("parentId", parent.hex) }
    json.string("id", span.spanID.hex)
    if let kind = kindName(span.kind) { json.string("kind", kind) }
    if !span.name.isEmpty { json.string("name", span.name.lowercased()) }
    if !span.marks.contains(.noStart), span.start >= 1_000 { json.number("timestamp", span.start / 1_000) }
    // Zero would read as absent, so what is shorter than a microsecond counts as one.
    if span.duration > 0 { json.number("duration", max(1, span.duration / 1_000)) }
    if !parts.local.isEmpty {
        json.key("localEndpoint")
        parts.local.write(to: &json)
    }
    if !parts.remote.isEmpty {
        json.key("remoteEndpoint")
        parts.remote.write(to: &json)
    }
    if !span.events.isEmpty {
        json.key("annotations")
        json.beginArray()
        for event in span.events { write(event, to: &json) }
        json.endArray()
    }
    if !parts.tags.isEmpty {
        json.key("tags")
        json.beginObject()
        for tag in parts.tags {
            json.key(escaping: tag.key)
            json.string(tag.value)
        }
        json.endObject()
    }
    if span.marks.contains(.debug) { json.bool("debug", true) }
    if span.marks.contains(.shared) { json.bool("shared", true) }
    json.endObject()
}

/// An event with attributes becomes `"name": {attributes}`, the form OpenTelemetry's Zipkin exporters use.
private func write(_ event: SpanEvent, to json: inout JSONWriter) {
    json.beginObject()
    json.number("timestamp", event.time / 1_000)
    if event.attributes.isEmpty {
        json.string("value", event.name)
    } else {
        var name = JSONWriter()
        name.string(event.name)
        let attributes = AttributeText.text(.map(event.attributes))
        json.string("value", String(decoding: name.bytes, as: UTF8.self) + ": " + attributes)
    }
    json.endObject()
}

private func kindName(_ kind: UInt8) -> String? {
    switch SpanKind(rawValue: kind) {
    case .client: "CLIENT"
    case .server: "SERVER"
    case .producer: "PRODUCER"
    case .consumer: "CONSUMER"
    case .unspecified, .internal, nil: nil
    }
}

/// What the attributes of a span become: endpoints and tags.
private struct ZipkinParts {
    var local = ZipkinEndpoint()
    var remote = ZipkinEndpoint()
    private(set) var tags: [(key: String, value: String)] = []
    private var keys: Set<String> = []

    init(_ span: SpanRecord) {
        local.serviceName = span.serviceName
        for attribute in span.attributes {
            if local.take(attribute, .local) || remote.take(attribute, .remote) { continue }
            add(attribute.key, AttributeText.text(attribute.value))
        }
        if remote.serviceName.isEmpty, span.kind == SpanKind.client.rawValue || span.kind == SpanKind.producer.rawValue
        {
            remote.serviceName = Self.peerName(span.attributes)
        }
        addDerived(span)
        for attribute in span.resource.attributes where attribute.key != "service.name" {
            add(attribute.key, AttributeText.text(attribute.value))
        }
    }

    /// Where a caller's span says whom it calls, when it has no `peer.service`.
    private static func peerName(_ attributes: [Attribute]) -> String {
        for key in ["server.address", "net.peer.name"] {
            for attribute in attributes where attribute.key == key {
                if case .string(let name) = attribute.value, !name.isEmpty { return name }
            }
        }
        return ""
    }

    /// What OTLP has fields for and Zipkin has not.
    private mutating func addDerived(_ span: SpanRecord) {
        // A Zipkin span carries its error tag as an attribute already, and it says the same as the status.
        let error = tags.first { $0.key == "error" }?.value
        let message = error == "true" || error == "" ? "" : error
        if span.isError, message != span.statusMessage {
            add("otel.status_code", "ERROR")
            add("error", span.statusMessage.isEmpty ? "true" : span.statusMessage)
        } else if span.status == SpanStatus.ok.rawValue {
            add("otel.status_code", "OK")
        }
        if !span.scope.name.isEmpty { add("otel.scope.name", span.scope.name) }
        if !span.scope.version.isEmpty { add("otel.scope.version", span.scope.version) }
        if !span.traceState.isEmpty { add("w3c.tracestate", span.traceState) }
    }

    /// The first value of a key wins, so that the object has no key twice.
    private mutating func add(_ key: String, _ value: String) {
        if keys.insert(key).inserted { tags.append((key, value)) }
    }
}
