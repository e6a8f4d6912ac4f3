import Telemetry
import Testing
import WireFormats

/// Decoders over arrays, for tests.
enum Decode {
    static let origin = BatchOrigin(arrival: 1_700_000_000_000_000_000)

    static func otlp(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeOTLPTraces)
    }

    static func otlpJSON(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeOTLPTracesJSON)
    }

    static func otlpJSON(_ text: String) throws(WireError) -> DecodedSpans { try otlpJSON(Array(text.utf8)) }

    static func zipkin(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeZipkinJSON)
    }

    static func zipkin(_ text: String) throws(WireError) -> DecodedSpans { try zipkin(Array(text.utf8)) }

    static func zipkinV1(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeZipkinV1JSON)
    }

    static func zipkinV1(_ text: String) throws(WireError) -> DecodedSpans { try zipkinV1(Array(text.utf8)) }

    static func zipkinProtobuf(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeZipkinProtobuf)
    }

    static func zipkinV1Thrift(_ body: [UInt8]) throws(WireError) -> DecodedSpans {
        try whole(body, decodeZipkinV1Thrift)
    }

    static func jaeger(
        _ body: [UInt8], _ decode: (UnsafeRawBufferPointer, BatchOrigin) throws(WireError) -> JaegerBatch
    ) throws(WireError) -> JaegerBatch {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try decode(bytes, origin) }
        }
        return try result.get()
    }

    private static func whole(
        _ body: [UInt8],
        _ decode: (UnsafeRawBufferPointer, BatchOrigin) throws(WireError) -> DecodedSpans
    ) throws(WireError) -> DecodedSpans {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try decode(bytes, origin) }
        }
        return try result.get()
    }
}

extension DecodedSpans {
    /// The spans, after a check that no index or slice of the batch is out of bounds.
    func records() throws -> [SpanRecord] {
        try batch.validate()
        #expect(received == batch.spans.count + rejectedCount)
        return batch.spans.indices.map { batch.record($0) }
    }

    var reasons: [SpanRejection: Int] { Dictionary(rejected.map { ($0.reason, $0.count) }, uniquingKeysWith: +) }
}

/// Spans in an order of their own: encoders put those of one resource together.
func byID(_ spans: [SpanRecord]) -> [SpanRecord] { spans.sorted { $0.spanID < $1.spanID } }

/// A small seeded generator (SplitMix64); the seed is in every failure message.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// Random spans that use every field.
enum RandomSpans {
    static func list(_ count: Int, _ random: inout TestRandom) -> [SpanRecord] {
        var spans: [SpanRecord] = []
        while spans.count < count {
            let resource = resource(&random)
            for _ in 0...random.below(2) {
                let scope = scope(&random)
                for _ in 0...random.below(3) { spans.append(span(resource, scope, &random)) }
            }
        }
        return spans
    }

    private static func resource(_ random: inout TestRandom) -> Resource {
        var resource = Resource(attributes: attributes(&random), droppedAttributes: UInt32(random.below(3)))
        if random.chance(80) {
            resource.serviceName = word(&random)
            resource.attributes.insert(Attribute("service.name", .string(resource.serviceName)), at: 0)
        }
        if random.chance(30) { resource.schemaURL = "https://example.com/\(word(&random))" }
        return resource
    }

    private static func scope(_ random: inout TestRandom) -> Scope {
        Scope(
            name: random.chance(70) ? word(&random) : "", version: random.chance(50) ? "1.\(random.below(9))" : "",
            schemaURL: random.chance(30) ? "https://example.com/scope" : "",
            attributes: random.chance(30) ? attributes(&random) : [], droppedAttributes: UInt32(random.below(2)))
    }

    static func span(_ resource: Resource, _ scope: Scope, _ random: inout TestRandom) -> SpanRecord {
        let start = UInt64(random.below(1 << 60))
        var span = SpanRecord(
            traceID: TraceID(high: random.next(), low: random.next() | 1), spanID: SpanID(random.next() | 1),
            name: word(&random), kind: UInt8(random.below(6)), start: start, end: start + UInt64(random.below(1 << 30)),
            attributes: attributes(&random), resource: resource, scope: scope, arrival: Decode.origin.arrival)
        if random.chance(70) { span.parentID = SpanID(random.next() | 1) }
        if random.chance(30) { span.traceState = "vendor=\(word(&random))" }
        if random.chance(30) { span.flags = UInt32(truncatingIfNeeded: random.next()) }
        if random.chance(30) {
            span.status = UInt8(random.below(3))
            span.statusMessage = word(&random)
        }
        for _ in 0..<random.below(3) {
            span.events.append(
                SpanEvent(
                    time: random.next(), name: word(&random), attributes: attributes(&random),
                    droppedAttributes: UInt32(random.below(2))))
        }
        for _ in 0..<random.below(3) {
            span.links.append(
                SpanLink(
                    traceID: TraceID(high: random.next(), low: 5), spanID: SpanID(7), traceState: word(&random),
                    flags: UInt32(random.below(512)), attributes: attributes(&random),
                    droppedAttributes: UInt32(random.below(2))))
        }
        span.droppedAttributes = UInt32(random.below(2))
        span.droppedEvents = UInt32(random.below(2))
        span.droppedLinks = UInt32(random.below(2))
        return span
    }

    static func attributes(_ random: inout TestRandom) -> [Attribute] {
        (0..<random.below(6)).map { index in
            Attribute("\(word(&random)).\(index)", value(&random, depth: 0))
        }
    }

    private static func value(_ random: inout TestRandom, depth: Int) -> AttributeValue {
        switch random.below(depth < 4 ? 8 : 6) {
        case 0: .empty
        case 1: .string(word(&random))
        case 2: .bool(random.chance(50))
        case 3: .int(Int64(bitPattern: random.next() >> UInt64(random.below(64))))
        case 4: .double([0, -1.5, 1e300, .leastNonzeroMagnitude, .infinity, 0.1][random.below(6)])
        case 5: .bytes((0..<random.below(5)).map { _ in UInt8(random.below(256)) })
        case 6: .array((0..<random.below(4)).map { _ in value(&random, depth: depth + 1) })
        default:
            .map((0..<random.below(4)).map { Attribute("k\($0)", value(&random, depth: depth + 1)) })
        }
    }

    private static let words = [
        "a", "checkout", "GET /api/v1/products/{id}", "Grüße", "日本語", "😀", "quote\"back\\slash", "tab\tnew\nline",
        "nul\u{0}", "order.created", "http.request.method", "SELECT id FROM orders WHERE user_id = ? LIMIT 1", "x",
        "sixteen bytes 16", "seventeen bytes17", "seventeen bytes18",
    ]

    static func word(_ random: inout TestRandom) -> String { words[random.below(words.count)] }
}

/// Tries a body with every cut and with every single bit flipped: whatever comes of it, no broken batch.
func cutAndFlip(_ body: [UInt8], _ decode: ([UInt8]) throws -> DecodedSpans) throws {
    for length in 0..<body.count {
        if let decoded = try? decode(Array(body[..<length])) { _ = encodeZipkinJSON(try decoded.records()) }
    }
    for bit in 0..<body.count * 8 {
        var flipped = body
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        guard let decoded = try? decode(flipped) else { continue }
        _ = encodeZipkinJSON(try decoded.records())
    }
}
