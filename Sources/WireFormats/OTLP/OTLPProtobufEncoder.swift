package import Telemetry

/// Writes spans as an OTLP `ExportTraceServiceRequest` in protobuf form, one entry for each resource and scope in the
/// order they occur. Fields with their default are left out.
///
/// What ``decodeOTLPTraces(_:origin:)`` reads back is the same span, but for marks, weight and arrival.
/// Source: schemas/wire/otlp.md, "Protobuf".
package func encodeOTLPTraces(_ spans: [SpanRecord]) -> [UInt8] {
    var request = ProtobufWriter(reserving: spans.count * 512)
    for (resource, spans) in grouped(spans, by: \.resource) {
        request.message(1) { message in
            message.message(1) { write(resource.attributes, 1, resource.droppedAttributes, 2, to: &$0) }
            for (scope, spans) in grouped(spans, by: \.scope) {
                message.message(2) { write(scope, spans, to: &$0) }
            }
            message.text(3, resource.schemaURL)
        }
    }
    return request.bytes
}

extension ProtobufWriter {
    /// Strings and numbers that are left out when they have their default.
    fileprivate mutating func text(_ number: UInt32, _ text: String) {
        if !text.isEmpty { string(number, text) }
    }

    fileprivate mutating func number(_ number: UInt32, _ value: UInt64) {
        if value != 0 { varint(number, value) }
    }

    fileprivate mutating func bigEndian(_ number: UInt32, _ words: [UInt64]) {
        bytes(number, words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } })
    }
}

private func write(_ scope: Scope, _ spans: [SpanRecord], to message: inout ProtobufWriter) {
    message.message(1) { inner in
        inner.text(1, scope.name)
        inner.text(2, scope.version)
        write(scope.attributes, 3, scope.droppedAttributes, 4, to: &inner)
    }
    for span in spans { message.message(2) { write(span, to: &$0) } }
    message.text(3, scope.schemaURL)
}

private func write(_ span: SpanRecord, to message: inout ProtobufWriter) {
    message.bigEndian(1, [span.traceID.high, span.traceID.low])
    message.bigEndian(2, [span.spanID.value])
    message.text(3, span.traceState)
    if let parent = span.parentID { message.bigEndian(4, [parent.value]) }
    message.text(5, span.name)
    message.number(6, UInt64(span.kind))
    message.fixed64(7, span.start)
    message.fixed64(8, span.end)
    write(span.attributes, 9, span.droppedAttributes, 10, to: &message)
    for event in span.events {
        message.message(11) { inner in
            inner.fixed64(1, event.time)
            inner.text(2, event.name)
            write(event.attributes, 3, event.droppedAttributes, 4, to: &inner)
        }
    }
    message.number(12, UInt64(span.droppedEvents))
    for link in span.links { message.message(13) { write(link, to: &$0) } }
    message.number(14, UInt64(span.droppedLinks))
    if span.status != 0 || !span.statusMessage.isEmpty {
        message.message(15) { inner in
            inner.text(2, span.statusMessage)
            inner.number(3, UInt64(span.status))
        }
    }
    if span.flags != 0 { message.fixed32(16, span.flags) }
}

private func write(_ link: SpanLink, to message: inout ProtobufWriter) {
    message.bigEndian(1, [link.traceID.high, link.traceID.low])
    message.bigEndian(2, [link.spanID.value])
    message.text(3, link.traceState)
    write(link.attributes, 4, link.droppedAttributes, 5, to: &message)
    if link.flags != 0 { message.fixed32(6, link.flags) }
}

private func write(
    _ attributes: [Attribute], _ number: UInt32, _ dropped: UInt32, _ droppedNumber: UInt32,
    to message: inout ProtobufWriter
) {
    for attribute in attributes { message.message(number) { write(attribute, to: &$0) } }
    message.number(droppedNumber, UInt64(dropped))
}

private func write(_ attribute: Attribute, to message: inout ProtobufWriter) {
    message.text(1, attribute.key)
    message.message(2) { write(attribute.value, to: &$0) }
}

/// The fields of an `AnyValue`.
private func write(_ value: AttributeValue, to message: inout ProtobufWriter) {
    switch value {
    case .empty: break
    case .string(let text): message.string(1, text)
    case .bool(let flag): message.varint(2, flag ? 1 : 0)
    case .int(let number): message.varint(3, UInt64(bitPattern: number))
    case .double(let number): message.double(4, number)
    case .array(let elements):
        message.message(5) { inner in
            for element in elements { inner.message(1) { write(element, to: &$0) } }
        }
    case .map(let entries):
        message.message(6) { inner in
            for entry in entries { inner.message(1) { write(entry, to: &$0) } }
        }
    case .bytes(let bytes): message.bytes(7, bytes)
    }
}
