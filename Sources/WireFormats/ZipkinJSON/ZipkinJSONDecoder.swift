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
    try decodeZipkinList(body, origin, .two)
}

/// The two forms of a span in JSON.
enum ZipkinVersion {
    case one
    case two
}

func decodeZipkinList(
    _ body: UnsafeRawBufferPointer, _ origin: BatchOrigin, _ version: ZipkinVersion
) throws(WireError) -> DecodedSpans {
    var decoder = ZipkinJSONDecoder(body, origin, version)
    try decoder.decodeList()
    return decoder.finish()
}

/// The list. Each span is made as a record, which the builder takes at once, so that only one is held.
struct ZipkinJSONDecoder: ~Copyable {
    var json: JSONReader
    let origin: BatchOrigin
    private let version: ZipkinVersion
    private var spans = ZipkinSpanList()

    init(_ body: UnsafeRawBufferPointer, _ origin: BatchOrigin, _ version: ZipkinVersion) {
        json = JSONReader(body)
        self.origin = origin
        self.version = version
    }

    mutating func decodeList() throws(WireError) {
        guard !json.isAtEnd() else { return }
        guard try json.peek() == UInt8(ascii: "[") else {
            throw WireError(version == .two ? .zipkinList : .zipkinListVersion1, at: json.offset)
        }
        try json.beginArray()
        var index = 0
        while try json.nextElement() {
            let start = json
            do {
                switch version {
                case .one: try decodeVersion1(at: index)
                case .two: try decodeVersion2(at: index)
                }
            } catch {
                if error.kind == .zipkinVersion1 || error.kind == .zipkinVersion2 { throw error }
                // Throws again when the text itself is broken; else only this span is bad.
                json = start
                do { try json.skipValue() } catch { throw error.within("[\(index)]") }
                spans.reject(.malformed, message: error.within("[\(index)]").description)
            }
            index += 1
        }
        try json.finish()
    }

    private mutating func decodeVersion2(at index: Int) throws(WireError) {
        _ = try json.peek()
        let start = json.offset
        var span = ZipkinSpanDraft(arrival: origin.arrival)
        try decodeSpan(into: &span)
        if span.isVersion1, span.defect == nil { throw WireError(.zipkinVersion1, at: start) }
        spans.add(span, bytes: json.offset - start, at: index)
    }

    private mutating func decodeVersion1(at index: Int) throws(WireError) {
        _ = try json.peek()
        let start = json.offset
        var span = ZipkinV1Span(arrival: origin.arrival)
        try decodeVersion1Span(into: &span)
        if span.isVersion2 { throw WireError(.zipkinVersion2, at: start) }
        spans.add(span, bytes: json.offset - start, at: index)
    }

    consuming func finish() -> DecodedSpans {
        let origin = origin
        return spans.finish(origin)
    }
}
