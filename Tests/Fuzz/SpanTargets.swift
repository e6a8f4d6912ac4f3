internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// The span decoders: whatever comes, no trap, a batch without a broken index, an account that adds up, and encoders
/// that take what was decoded.
extension FuzzTarget {
    static let otlpProtobuf = FuzzTarget(
        name: "otlp-protobuf", seeds: { spanSeeds.map { encodeOTLPTraces($0) } },
        check: { input in
            guard let spans = decodedSpans(input, decodeOTLPTraces) else { return nil }
            return spanDefect(of: spans) ?? differs(spans, from: encodeOTLPTraces, decodeOTLPTraces)
        })

    static let otlpJSON = FuzzTarget(
        name: "otlp-json", seeds: { spanSeeds.map { encodeOTLPTracesJSON($0) } },
        check: { input in
            guard let spans = decodedSpans(input, decodeOTLPTracesJSON) else { return nil }
            return spanDefect(of: spans)
        })

    static let zipkinJSON = FuzzTarget(
        name: "zipkin-json", seeds: { spanSeeds.map { encodeZipkinJSON($0) } },
        check: { input in
            guard let spans = decodedSpans(input, decodeZipkinJSON) else { return nil }
            return spanDefect(of: spans)
        })
}

typealias SpanDecoder = @Sendable (UnsafeRawBufferPointer, BatchOrigin) throws(WireError) -> DecodedSpans

/// Nil for a body that was refused; a refusal must point into the body.
func decodedSpans(_ input: [UInt8], _ decode: SpanDecoder) -> DecodedSpans? {
    input.withUnsafeBytes { bytes in
        do throws(WireError) {
            return try decode(bytes, BatchOrigin(arrival: 1))
        } catch {
            // Found by the fuzzer as a trap.
            precondition((0...input.count).contains(error.offset), "offset \(error.offset) of \(input.count)")
            return nil
        }
    }
}

func spanDefect(of spans: DecodedSpans) -> String? {
    do throws(SpanBatchDefect) { try spans.batch.validate() } catch { return "\(error)" }
    guard spans.received == spans.batch.spans.count + spans.rejectedCount else { return "the account does not add up" }
    guard spans.message.isEmpty == spans.rejected.isEmpty else { return "rejected without a message" }
    let records = spans.batch.spans.indices.map { spans.batch.record($0) }
    for text in [encodeOTLPTracesJSON(records), encodeZipkinJSON(records), encodeJaegerTraces([records])] {
        if !isJSON(text) { return "an encoder wrote what is no JSON" }
    }
    return viewDefect(of: records)
}

/// What readers get instead of spans that share an id, and what clocks look like; the spans are taken for one trace.
private func viewDefect(of records: [SpanRecord]) -> String? {
    let tree = TraceTree(records)
    guard ClockSkew(records, tree: tree).corrections.count == records.count else { return "a span without a clock" }
    guard records.withSharedSpansApart(tree).count == records.count else { return "a span lost or gained apart" }
    let merged = Set(records.withPartsMerged(tree).map(\.spanID))
    return merged == Set(records.map(\.spanID)) ? nil : "an id lost or gained in a merge"
}

/// Whether spans change when they are written and read again; spans that were cut may.
private func differs(_ spans: DecodedSpans, from encode: ([SpanRecord]) -> [UInt8], _ decode: SpanDecoder) -> String? {
    let records = spans.batch.spans.indices.map { spans.batch.record($0) }.filter { $0.marks.isEmpty }
    guard let again = decodedSpans(encode(records), decode) else { return "its own encoding is refused" }
    let repeated = again.batch.spans.indices.map { again.batch.record($0) }
    // NaN is not equal to itself, so texts are compared; order may change where resources repeat.
    let before = records.map { "\($0)" }.sorted()
    return before == repeated.map { "\($0)" }.sorted() ? nil : "spans change when written and read again"
}

func isJSON(_ text: [UInt8]) -> Bool {
    text.withUnsafeBytes { bytes in
        // Values nest deeper in JSON than in a batch; only then may the reader give up.
        var json = JSONReader(bytes)
        do throws(WireError) {
            try json.skipValue()
            try json.finish()
            return true
        } catch { return error.kind == .nesting }
    }
}

let spanSeeds: [[SpanRecord]] = {
    let plain = SpanRecord(
        traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), name: "GET /", kind: 2, start: 1_000_000, end: 2_000_000)
    var full = plain
    full.parentID = SpanID(2)
    full.status = 2
    full.statusMessage = "no"
    full.traceState = "v=1"
    full.flags = 257
    full.attributes = [
        Attribute("text", .string("Grüße 😀")), Attribute("int", .int(-1)), Attribute("flag", .bool(true)),
        Attribute("double", .double(0.5)), Attribute("bytes", .bytes([0, 255])), Attribute("empty", .empty),
        Attribute("list", .array([.int(1), .array([.string("deep"), .map([Attribute("k", .bytes([1]))])])])),
        Attribute("error", .string("boom")), Attribute("peer.service", .string("mysql")),
        Attribute("network.peer.address", .string("::1")), Attribute("network.peer.port", .int(3_306)),
    ]
    full.events = [
        SpanEvent(time: 1_500_000, name: "retry", attributes: [Attribute("n", .int(1))], droppedAttributes: 1)
    ]
    full.links = [SpanLink(traceID: TraceID(high: 4, low: 5), spanID: SpanID(6), attributes: [Attribute("a", .int(1))])]
    full.droppedAttributes = 1
    full.resource = Resource(
        attributes: [Attribute("service.name", .string("shop")), Attribute("host.name", .string("h1"))],
        droppedAttributes: 1, schemaURL: "url", serviceName: "shop")
    full.scope = Scope(name: "lib", version: "1", schemaURL: "url", attributes: [Attribute("x", .int(1))])
    return [[plain], [full], [plain, full, plain]]
}()
