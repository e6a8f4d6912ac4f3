/// Writes OTLP trace messages: `ExportTraceServiceRequest` and what is inside it.
///
/// Tags are `field number << 3 | wire type`, written beside each field's name. Fields that hold their default
/// are left out, as proto3 wants; a span's ids, times and kind are always there.
/// - Source: opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto, resource/v1/resource.proto.
enum OTLPEncoder {
    /// The start of a `ResourceSpans` up to the spans: everything that does not change from batch to batch.
    struct Header {
        /// `ResourceSpans.resource`, framed.
        let resource: [UInt8]
        /// `ScopeSpans.scope`, framed.
        let scope: [UInt8]

        init(_ resource: Resource, _ scope: InstrumentationScope) {
            var attributes = ProtobufWriter()
            for attribute in resource.attributes { write(attribute, tag: 0x0A, to: &attributes) }
            var framed = ProtobufWriter()
            framed.bytesField(0x0A, attributes.bytes)
            self.resource = framed.bytes

            var body = ProtobufWriter()
            if !scope.name.isEmpty { body.stringField(0x0A, scope.name) }
            if !scope.version.isEmpty { body.stringField(0x12, scope.version) }
            var framedScope = ProtobufWriter()
            framedScope.bytesField(0x0A, body.bytes)
            self.scope = framedScope.bytes
        }
    }

    /// `ExportTraceServiceRequest.resource_spans` of one source.
    /// - Parameter spans: framed `ScopeSpans.spans` fields, one after the other.
    static func writeResourceSpans(_ header: Header, spans: [UInt8], to writer: inout ProtobufWriter) {
        let scopeSpans = header.scope.count + spans.count
        writer.lengthHeader(0x0A, header.resource.count + ProtobufWriter.fieldSize(scopeSpans))
        writer.raw(header.resource)
        writer.lengthHeader(0x12, scopeSpans)
        writer.raw(header.scope)
        writer.raw(spans)
    }

    /// The body of one `Span`, without tag and length.
    static func write(_ span: SpanData, to writer: inout ProtobufWriter) {
        writer.lengthHeader(0x0A, 16)  // 1 trace_id
        writer.bigEndian(span.traceID.high)
        writer.bigEndian(span.traceID.low)
        writer.lengthHeader(0x12, 8)  // 2 span_id
        writer.bigEndian(span.spanID.rawValue)
        if !span.traceState.isEmpty { writer.stringField(0x1A, span.traceState) }  // 3 trace_state
        if let parent = span.parentSpanID {  // 4 parent_span_id
            writer.lengthHeader(0x22, 8)
            writer.bigEndian(parent.rawValue)
        }
        writer.stringField(0x2A, span.name)  // 5 name
        writer.varintField(0x30, UInt64(span.kind.rawValue))  // 6 kind
        writer.fixed64Field(0x39, span.startNanoseconds)  // 7 start_time_unix_nano
        writer.fixed64Field(0x41, span.endNanoseconds)  // 8 end_time_unix_nano
        for attribute in span.attributes { write(attribute, tag: 0x4A, to: &writer) }  // 9 attributes
        writeCount(0x50, span.dropped.attributes, to: &writer)  // 10 dropped_attributes_count
        for event in span.events { write(event, to: &writer) }  // 11 events
        writeCount(0x60, span.dropped.events, to: &writer)  // 12 dropped_events_count
        for link in span.links { write(link, to: &writer) }  // 13 links
        writeCount(0x70, span.dropped.links, to: &writer)  // 14 dropped_links_count
        write(span.status, to: &writer)  // 15 status
        if span.flags != 0 { writer.fixed32Field(0x85, 0x01, span.flags) }  // 16 flags
    }

    private static func writeCount(_ tag: UInt8, _ count: UInt32, to writer: inout ProtobufWriter) {
        if count != 0 { writer.varintField(tag, UInt64(count)) }
    }

    private static func write(_ status: SpanData.Status, to writer: inout ProtobufWriter) {
        switch status {
        case .unset: return
        case .ok:
            writer.lengthHeader(0x7A, 2)
            writer.varintField(0x18, 1)
        case .error(let message):
            let text = message.isEmpty ? 0 : ProtobufWriter.fieldSize(message.utf8.count)
            writer.lengthHeader(0x7A, text + 2)
            if !message.isEmpty { writer.stringField(0x12, message) }
            writer.varintField(0x18, 2)
        }
    }

    private static func write(_ event: SpanData.Event, to writer: inout ProtobufWriter) {
        let attributes = event.attributes.reduce(0) { $0 + ProtobufWriter.fieldSize(size($1)) }
        writer.lengthHeader(0x5A, 9 + ProtobufWriter.fieldSize(event.name.utf8.count) + attributes)
        writer.fixed64Field(0x09, event.nanoseconds)
        writer.stringField(0x12, event.name)
        for attribute in event.attributes { write(attribute, tag: 0x1A, to: &writer) }
    }

    private static func write(_ link: SpanData.Link, to writer: inout ProtobufWriter) {
        let attributes = link.attributes.reduce(0) { $0 + ProtobufWriter.fieldSize(size($1)) }
        let state = link.traceState.isEmpty ? 0 : ProtobufWriter.fieldSize(link.traceState.utf8.count)
        writer.lengthHeader(0x6A, 18 + 10 + state + attributes)
        writer.lengthHeader(0x0A, 16)
        writer.bigEndian(link.traceID.high)
        writer.bigEndian(link.traceID.low)
        writer.lengthHeader(0x12, 8)
        writer.bigEndian(link.spanID.rawValue)
        if state > 0 { writer.stringField(0x1A, link.traceState) }
        for attribute in link.attributes { write(attribute, tag: 0x22, to: &writer) }
    }
}
