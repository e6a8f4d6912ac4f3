import CrestClient
import Testing

/// The bytes were written down by hand from the .proto files; each line is one field.
@Suite struct OTLPEncodingTests {
    private let resource = Resource(
        serviceName: "cart",
        attributes: [
            Attribute("telemetry.sdk.name", "t"), Attribute("telemetry.sdk.language", "l"),
            Attribute("telemetry.sdk.version", "v"),
        ])

    private static func text(_ tag: UInt8, _ text: String) -> [UInt8] {
        [tag, UInt8(text.utf8.count)] + Array(text.utf8)
    }

    private static func message(_ tag: UInt8, _ body: [UInt8]) -> [UInt8] {
        precondition(body.count < 16_384)
        return body.count < 128
            ? [tag, UInt8(body.count)] + body : [tag, UInt8(body.count & 127) | 128, UInt8(body.count >> 7)] + body
    }

    private static func attribute(_ tag: UInt8, _ key: String, _ value: [UInt8]) -> [UInt8] {
        message(tag, text(0x0A, key) + message(0x12, value))
    }

    private func body(_ spans: [SpanData], scope: InstrumentationScope = .init(name: "s", version: "1")) async
        -> [UInt8]
    {
        let queue = SpanQueue(limits: .init(maximumSpans: 100, maximumBytes: 1 << 20, batchSpans: 100))
        let source = queue.addSource(resource, scope)
        for span in spans { queue.append(span, source: source) }
        queue.flush()
        return await queue.next()?.body() ?? []
    }

    private func request(_ spanBody: [UInt8]) -> [UInt8] {
        let resource = Self.message(
            0x0A,
            Self.attribute(0x0A, "service.name", Self.text(0x0A, "cart"))
                + Self.attribute(0x0A, "telemetry.sdk.name", Self.text(0x0A, "t"))
                + Self.attribute(0x0A, "telemetry.sdk.language", Self.text(0x0A, "l"))
                + Self.attribute(0x0A, "telemetry.sdk.version", Self.text(0x0A, "v")))
        let scope = Self.message(0x0A, Self.text(0x0A, "s") + Self.text(0x12, "1"))
        return Self.message(0x0A, resource + Self.message(0x12, scope + Self.message(0x12, spanBody)))
    }

    @Test("A root span with nothing optional is exactly these bytes")
    func smallest() async {
        var span = SpanData(
            traceID: TraceID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10),
            spanID: SpanID(0x1112_1314_1516_1718), name: "n", startNanoseconds: 1, endNanoseconds: 0x0100)
        span.flags = 0
        let expected: [UInt8] =
            [0x0A, 16] + (1...16).map { UInt8($0) }
            + [0x12, 8] + (0x11...0x18).map { UInt8($0) }
            + [0x2A, 1, 0x6E]
            + [0x30, 1]
            + [0x39, 1, 0, 0, 0, 0, 0, 0, 0]
            + [0x41, 0, 1, 0, 0, 0, 0, 0, 0]
        let encoded = await body([span])
        #expect(encoded == request(expected))
    }

    @Test("Every optional field is where the schema puts it")
    func full() async {
        var span = SpanData(
            traceID: TraceID(high: 0, low: 1), spanID: SpanID(2), parentSpanID: SpanID(3), name: "n", kind: .consumer,
            startNanoseconds: 0, endNanoseconds: 0)
        span.traceState = "a=b"
        span.flags = 0x301
        span.events = [.init("e", nanoseconds: 5, attributes: [Attribute("k", true)])]
        span.links = [.init(traceID: TraceID(high: 0, low: 4), spanID: SpanID(5), traceState: "c=d")]
        span.status = .error("bad")
        span.dropped.attributes = 300
        span.dropped.events = 1
        span.dropped.links = 2
        let zeros = [UInt8](repeating: 0, count: 7)
        let expected: [UInt8] =
            [0x0A, 16] + zeros + [0] + zeros + [1]
            + [0x12, 8] + zeros + [2]
            + [0x1A, 3] + Array("a=b".utf8)
            + [0x22, 8] + zeros + [3]
            + [0x2A, 1, 0x6E, 0x30, 5]
            + [0x39, 0] + zeros + [0x41, 0] + zeros
            + [0x50, 0xAC, 0x02]
            + Self.message(
                0x5A, [0x09, 5] + zeros + [0x12, 1, 0x65] + Self.attribute(0x1A, "k", [0x10, 1]))
            + [0x60, 1]
            + Self.message(
                0x6A, [0x0A, 16] + zeros + [0] + zeros + [4] + [0x12, 8] + zeros + [5] + Self.text(0x1A, "c=d"))
            + [0x70, 2]
            + Self.message(0x7A, Self.text(0x12, "bad") + [0x18, 2])
            + [0x85, 0x01, 0x01, 0x03, 0, 0]
        let encoded = await body([span])
        #expect(encoded == request(expected))
    }

    @Test(
        "Attribute values of every type",
        arguments: [
            (AttributeValue.string(""), [0x0A, 0]),
            (.string("é"), [0x0A, 2, 0xC3, 0xA9]),
            (.bool(false), [0x10, 0]),
            (.int(0), [0x18, 0]),
            (.int(300), [0x18, 0xAC, 0x02]),
            (.int(-1), [0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            (.double(1), [0x21, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F]),
            (.stringArray(["a", ""]), [0x2A, 9, 0x0A, 3, 0x0A, 1, 0x61, 0x0A, 2, 0x0A, 0]),
            (.boolArray([true]), [0x2A, 4, 0x0A, 2, 0x10, 1]),
            (.intArray([1, 300]), [0x2A, 9, 0x0A, 2, 0x18, 1, 0x0A, 3, 0x18, 0xAC, 0x02]),
            (.doubleArray([0]), [0x2A, 11, 0x0A, 9, 0x21, 0, 0, 0, 0, 0, 0, 0, 0]),
            (.intArray([]), [0x2A, 0]),
        ] as [(AttributeValue, [UInt8])])
    func values(_ value: AttributeValue, _ expected: [UInt8]) async {
        var span = SpanData(
            traceID: TraceID(high: 0, low: 1), spanID: SpanID(2), name: "", startNanoseconds: 0, endNanoseconds: 0)
        span.flags = 0
        let bare = await body([span])
        span.attributes = [Attribute("k", value)]
        let encoded = await body([span])
        let field = Self.attribute(0x4A, "k", expected)
        #expect(encoded.suffix(field.count) == field[...], "\(encoded)")
        // Two or three length prefixes above the span may have grown by a byte each.
        #expect((0...3).contains(encoded.count - bare.count - field.count))
    }

    @Test("A status of ok is two bytes, unset is none")
    func status() async {
        var span = SpanData(
            traceID: TraceID(high: 0, low: 1), spanID: SpanID(2), name: "", startNanoseconds: 0, endNanoseconds: 0)
        span.flags = 0
        span.status = .ok
        let encoded = await body([span])
        #expect(encoded.suffix(4) == [0x7A, 2, 0x18, 1])
    }

    @Test("Spans of two sources travel in one request, each under its own resource")
    func sources() async {
        let queue = SpanQueue(limits: .init(maximumSpans: 10, maximumBytes: 1 << 20, batchSpans: 10))
        let first = queue.addSource(Resource(serviceName: "alpha-service"), .crestClient)
        let second = queue.addSource(Resource(serviceName: "beta-service"), .crestClient)
        for source in [first, second, first] { queue.append(sampleSpan(1), source: source) }
        queue.flush()
        let batch = await queue.next()
        #expect(batch?.spanCount == 3)
        let text = String(decoding: batch?.body() ?? [], as: UTF8.self)
        #expect(text.ranges(of: "alpha-service").count == 1)
        #expect(text.ranges(of: "beta-service").count == 1)
    }
}

/// A small valid span.
func sampleSpan(_ number: UInt64) -> SpanData {
    SpanData(
        traceID: TraceID(high: 7, low: number), spanID: SpanID(number), name: "span \(number)", startNanoseconds: 1_000,
        endNanoseconds: 2_000)
}
