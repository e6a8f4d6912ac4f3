package import Telemetry

/// Decodes a Zipkin v2 JSON list of spans.
///
/// A span with a defect costs only itself. Unknown fields are skipped and nulls are as good as nothing. An empty body
/// is an empty list. Names are kept as received; Zipkin's other normalisation rules are applied.
/// - Throws: for text that is not JSON, that is not a list, or that is the list of Zipkin's version 1.
/// - Source: schemas/wire/zipkin-v2.md.
package func decodeZipkinJSON(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> DecodedSpans {
    var decoder = ZipkinJSONDecoder(body, origin)
    try decoder.decodeList()
    return decoder.finish()
}

/// The list. Each span is made as a record, which the builder takes at once, so that only one is held.
struct ZipkinJSONDecoder: ~Copyable {
    var json: JSONReader
    let origin: BatchOrigin
    private var builder = SpanBatchBuilder()
    /// Scope rows by service name.
    private var scopes: [String: Int] = [:]
    private var received = 0
    private var rejections = RejectionCount()

    init(_ body: UnsafeRawBufferPointer, _ origin: BatchOrigin) {
        json = JSONReader(body)
        self.origin = origin
    }

    mutating func decodeList() throws(WireError) {
        guard !json.isAtEnd() else { return }
        guard try json.peek() == UInt8(ascii: "[") else { throw WireError(.zipkinList, at: json.offset) }
        try json.beginArray()
        while try json.nextElement() {
            let start = json
            let index = received
            received += 1
            do {
                try decodeElement()
            } catch {
                guard error.kind != .zipkinVersion1 else { throw error }
                // Throws again when the text itself is broken; else only this span is bad.
                json = start
                do { try json.skipValue() } catch { throw error.within("[\(index)]") }
                rejections.add(.malformed, message: error.within("[\(index)]").description)
            }
        }
        try json.finish()
    }

    private mutating func decodeElement() throws(WireError) {
        _ = try json.peek()
        let start = json.offset
        var span = ZipkinSpanDraft(arrival: origin.arrival)
        try decodeSpan(into: &span)
        let place = "[\(received - 1)]"
        if json.offset - start > Limits.spanBytes { return rejections.add(.spanTooLarge, at: place) }
        if let defect = span.defect { return rejections.add(defect, at: place) }
        if span.isVersion1 { throw WireError(.zipkinVersion1, at: start) }
        guard let record = span.record else { return rejections.add(.malformed, at: place + ".timestamp") }
        builder.append(record, scope: scope(of: span.service))
    }

    private mutating func scope(of service: String) -> Int {
        if let known = scopes[service] { return known }
        var resource = Resource(serviceName: service)
        if !service.isEmpty { resource.attributes = [Attribute("service.name", .string(service))] }
        let index = builder.append(Scope(), resource: builder.append(resource))
        scopes[service] = index
        return index
    }

    consuming func finish() -> DecodedSpans {
        let (received, rejections, origin) = (received, rejections, origin)
        return DecodedSpans(
            batch: builder.finish(origin), received: received, rejected: rejections.counts,
            message: rejections.message)
    }
}
