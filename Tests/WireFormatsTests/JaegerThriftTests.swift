import Telemetry
import Testing
import WireFormats

@Suite("Jaeger thrift")
struct JaegerThriftTests {
    typealias Value = ThriftValue

    private static func decode(_ body: [UInt8]) throws(WireError) -> JaegerBatch {
        try Decode.jaeger(body, decodeJaegerThrift)
    }

    private static func datagram(_ body: [UInt8]) throws(WireError) -> JaegerBatch {
        try Decode.jaeger(body, decodeJaegerDatagram)
    }

    /// A batch by both ways: as a body, and as a call in both protocols; all must give the same.
    private func everyWay(_ batch: Value) throws -> JaegerBatch {
        let first = try Self.decode(batch.encoded(.binary))
        let records = try first.spans.records()
        for wire in Value.Wire.allCases {
            let again = try Self.datagram(Value.structure([(1, batch)]).call("emitBatch", wire))
            #expect(try again.spans.records() == records, "\(wire)")
            #expect(again.report == first.report && again.spans.reasons == first.spans.reasons, "\(wire)")
        }
        return first
    }

    private static func tag(_ key: String, _ value: Value) -> Value {
        let (type, id): (Int32, Int) =
            switch value {
            case .text: (0, 3)
            case .double: (1, 4)
            case .bool: (2, 5)
            case .int64: (3, 6)
            default: (4, 7)
            }
        return .structure([(1, .text(key)), (2, .int32(type)), (id, value)])
    }

    private static func reference(_ type: Int32, _ high: Int64, _ low: Int64, _ span: Int64) -> Value {
        .structure([(1, .int32(type)), (2, .int64(low)), (3, .int64(high)), (4, .int64(span))])
    }

    private static func span(
        trace: (Int64, Int64) = (0, 0xa1), id: Int64 = 0xb1, parent: Int64 = 0, flags: Int32 = 1,
        start: Int64 = 1_700_000_000_000_000, duration: Int64 = 1_500, _ more: [(Int, Value)] = []
    ) -> Value {
        let fields: [(Int, Value)] = [
            (1, .int64(trace.1)), (2, .int64(trace.0)), (3, .int64(id)), (4, .int64(parent)), (5, .text("get")),
            (7, .int32(flags)), (8, .int64(start)), (9, .int64(duration)),
        ]
        return .structure((fields + more).sorted { $0.0 < $1.0 })
    }

    private static func batch(_ spans: [Value], _ more: [(Int, Value)] = []) -> Value {
        .structure([(1, .structure([(1, .text("shop"))])), (2, .list(spans))] + more)
    }

    @Test("Every field, in both protocols")
    func everyField() throws {
        let tags: [Value] = [
            Self.tag("span.kind", .text("client")), Self.tag("http.method", .text("GET")), Self.tag("n", .int64(-7)),
            Self.tag("ratio", .double(0.25)), Self.tag("cached", .bool(true)), Self.tag("raw", .bytes([0, 255])),
            Self.tag("error", .bool(true)), Self.tag("otel.status_description", .text("no")),
            Self.tag("w3c.tracestate", .text("v=1")),
        ]
        let logs: [Value] = [
            .structure([
                (1, .int64(1_700_000_000_000_100)),
                (
                    2,
                    .list([
                        Self.tag("level", .text("info")), Self.tag("event", .text("retry")), Self.tag("n", .int64(2)),
                    ])
                ),
            ]),
            .structure([(1, .int64(1_700_000_000_000_200)), (2, .list([Self.tag("message", .text("done"))]))]),
        ]
        let references = [
            Self.reference(0, 0x463a, 0xa1, 0xb0), Self.reference(1, 0x463a, 0xa1, 0xb0),
            Self.reference(0, 1, 2, 3), Self.reference(1, 0, 5, 6),
        ]
        let process = Value.structure([
            (1, .text("shop")), (2, .list([Self.tag("hostname", .text("h1")), Self.tag("pid", .int64(7))])),
        ])
        let span = Self.span(
            trace: (0x463a, 0xa1), parent: 0xb0, flags: 3,
            [(6, .list(references)), (10, .list(tags)), (11, .list(logs))])
        let batch = try everyWay(.structure([(1, process), (2, .list([span]))]))
        let found = try #require(try batch.spans.records().first)

        var expected = SpanRecord(
            traceID: TraceID(high: 0x463a, low: 0xa1), spanID: SpanID(0xb1), parentID: SpanID(0xb0), name: "get",
            kind: SpanKind.client.rawValue, start: 1_700_000_000_000_000_000, end: 1_700_000_000_001_500_000,
            status: SpanStatus.error.rawValue, statusMessage: "no", traceState: "v=1", flags: 1, marks: .debug)
        expected.attributes = [
            Attribute("http.method", .string("GET")), Attribute("n", .int(-7)), Attribute("ratio", .double(0.25)),
            Attribute("cached", .bool(true)), Attribute("raw", .bytes([0, 255])), Attribute("error", .bool(true)),
            Attribute("otel.status_description", .string("no")), Attribute("w3c.tracestate", .string("v=1")),
        ]
        expected.events = [
            SpanEvent(
                time: 1_700_000_000_000_100_000, name: "retry",
                attributes: [Attribute("level", .string("info")), Attribute("n", .int(2))]),
            SpanEvent(
                time: 1_700_000_000_000_200_000, name: "", attributes: [Attribute("message", .string("done"))]),
        ]
        func link(_ high: UInt64, _ low: UInt64, _ span: UInt64, _ type: String) -> SpanLink {
            SpanLink(
                traceID: TraceID(high: high, low: low), spanID: SpanID(span),
                attributes: [Attribute("opentracing.ref_type", .string(type))])
        }
        expected.links = [
            link(0x463a, 0xa1, 0xb0, "follows_from"), link(1, 2, 3, "child_of"), link(0, 5, 6, "follows_from"),
        ]
        expected.resource = Resource(
            attributes: [
                Attribute("service.name", .string("shop")), Attribute("hostname", .string("h1")),
                Attribute("pid", .int(7)),
            ], serviceName: "shop")
        expected.arrival = found.arrival
        #expect(found == expected)
        #expect(batch.report == nil)
    }

    @Test("Order of fields: the spans may stand before their process, logs before tags")
    func order() throws {
        let span = Value.structure([
            (11, .list([.structure([(2, .list([Self.tag("event", .text("e"))])), (1, .int64(5))])])),
            (6, .list([Self.reference(0, 0, 0xa1, 0xb0)])), (10, .list([Self.tag("a", .int64(1))])), (3, .int64(0xb1)),
            (1, .int64(0xa1)), (8, .int64(9)),
        ])
        let process = Value.structure([(2, .list([Self.tag("k", .text("v"))])), (1, .text("shop"))])
        let batch = try everyWay(.structure([(2, .list([span])), (1, process)]))
        let found = try #require(try batch.spans.records().first)
        #expect(found.attributes == [Attribute("a", .int(1))] && found.events.map(\.name) == ["e"])
        #expect(found.serviceName == "shop" && found.resource.attributes.map(\.key) == ["service.name", "k"])
        #expect(found.start == 9_000 && found.end == 9_000 && found.marks == .shortTraceID)
    }

    @Test("The parent is the one the span names, else the first CHILD_OF in its trace")
    func parents() throws {
        let child = Self.reference(0, 0, 0xa1, 0xc1)
        let cases: [(Int64, [Value], UInt64?, Int)] = [
            (0, [], nil, 0), (0xb0, [], 0xb0, 0), (0, [child], 0xc1, 0), (0xb0, [child], 0xb0, 1),
            (0, [Self.reference(1, 0, 0xa1, 0xc1)], nil, 1), (0, [Self.reference(0, 9, 0xa1, 0xc1), child], 0xc1, 1),
            (0xb1, [], nil, 0),
        ]
        for (parent, references, expected, links) in cases {
            let batch = try everyWay(Self.batch([Self.span(parent: parent, [(6, .list(references))])]))
            let found = try #require(try batch.spans.records().first)
            #expect(found.parentID?.value == expected && found.links.count == links, "\(parent) \(references)")
        }
    }

    @Test("Times: zero, negative and absent ones; flags; ids of 64 bits")
    func times() throws {
        let spans = [
            Self.span(id: 1, start: 5, duration: 0), Self.span(id: 2, start: 5, duration: -2),
            Self.span(id: 3, start: -5, duration: 1), Self.span(id: 4, start: 1, duration: -9),
            Self.span(trace: (-1, -1), id: -1, flags: 8),
        ]
        let found = try everyWay(Self.batch(spans)).spans.records()
        #expect(found.map(\.start) == [5_000, 5_000, Decode.origin.arrival, 1_000, 1_700_000_000_000_000_000])
        #expect(found.map(\.end).prefix(4) == [5_000, 3_000, Decode.origin.arrival + 1_000, 0])
        #expect(found[2].marks == [.shortTraceID, .noStart])
        #expect(found[4].traceID == TraceID(high: .max, low: .max) && found[4].spanID == SpanID(.max))
        #expect(found[4].flags == 8 && found[4].marks == [])
    }

    @Test("One bad span costs only itself")
    func rejectedSpans() throws {
        let badText = Self.span(
            id: 9, [(10, .list([Self.tag("x", .text("kept by nobody")), .structure([(1, .bytes([0xff]))])]))])
        let spans = [
            Self.span(id: 1), Self.span(trace: (0, 0)), Self.span(id: 0), Self.span(duration: .max),
            Self.span(start: .max), badText, Self.span([(10, .list([.int64(1)]))]), Self.span(id: 2),
        ]
        let batch = try everyWay(Self.batch(spans))
        #expect(try batch.spans.records().map(\.spanID.value) == [1, 2])
        #expect(batch.spans.reasons == [.zeroTraceID: 1, .zeroSpanID: 1, .malformed: 4])
        #expect(batch.spans.message == "spans[1]: the trace id is all zeros")
    }

    @Test("What is not known or has another type is skipped, however it nests")
    func unknownFields() throws {
        let nested = Value.structure([
            (1, .list([.list([.bool(true), .bool(false)]), .list([])])), (2, .bool(true)), (3, .bool(false)),
            (40, .map([(.text("k"), .structure([(1, .int16(1))]))])), (41, .map([])), (300, .byte(1)),
            (-5, .double(1)), (-4, .list((0..<20).map { .int32($0) })),
        ])
        let span = Self.span([(20, nested), (30, .bool(true)), (12, .map([(.int64(1), .text("x"))]))])
        let odd = Value.structure([(1, .text("7")), (3, .int32(5)), (5, .int64(1)), (10, .text("no list"))])
        let batch = try everyWay(Self.batch([span, odd], [(9, nested)]))
        #expect(try batch.spans.records().count == 1)
        #expect(batch.spans.reasons == [.zeroTraceID: 1])
    }

    @Test("Unknown types of tags and tags without a key are dropped and counted")
    func droppedTags() throws {
        let unknown = Value.structure([(1, .text("k")), (2, .int32(9))])
        let batch = try everyWay(Self.batch([Self.span([(10, .list([unknown, Self.tag("", .int64(1))]))])]))
        let found = try #require(try batch.spans.records().first)
        #expect(found.attributes.isEmpty && found.droppedAttributes == 2 && found.marks.contains(.truncated))
    }

    @Test("Sequence number, client and drops")
    func report() throws {
        let process = Value.structure([(1, .text("s")), (2, .list([Self.tag("client-uuid", .text("6fa1"))]))])
        let stats = Value.structure([(1, .int64(5)), (2, .int64(6)), (3, .int64(7))])
        let batch = try everyWay(
            .structure([(1, process), (2, .list([])), (3, .int64(42)), (4, stats)]))
        #expect(
            batch.report
                == JaegerClientReport(
                    client: "6fa1", sequence: 42, drops: JaegerClientDrops(fullQueue: 5, tooLarge: 6, failedToEmit: 7)))
        #expect(batch.spans.received == 0)
    }

    @Test("What is refused as a whole, and where")
    func wholeBody() {
        let good = Value.structure([(1, Self.batch([]))])
        let deep = (0..<100).reduce(Value.structure([])) { inner, _ in .structure([(1, inner)]) }
        let datagrams: [([UInt8], WireError.Kind, Int)] = [
            ([], .truncated, 0), (Array("hello".utf8), .thriftMessage, 0),
            (good.call("emitSpans", .compact), .thriftMessage, 0),
            (good.call("emitBatch", .compact, type: 2), .thriftMessage, 0),
            (
                Array(good.call("emitBatch", .compact).dropLast()), .truncated,
                good.call("emitBatch", .compact).count - 1
            ),
            (Value.structure([(9, deep)]).call("emitBatch", .binary), .nesting, 216),
            ([0x82, 0x81, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], .varint, 3),
        ]
        for (body, kind, offset) in datagrams {
            let error = #expect(throws: WireError.self) { try Self.datagram(body) }
            #expect(error?.kind == kind && error?.offset == offset, "\(body.prefix(20)) \(String(describing: error))")
        }
        let bodies: [([UInt8], WireError.Kind, Int)] = [
            ([], .truncated, 0), ([15, 0, 2, 12, 0x7f, 255, 255, 255], .length, 3),
            ([15, 0, 2, 12, 255, 255, 255, 255], .length, 3), ([15, 0, 2, 10, 0, 0, 0, 0], .truncated, 8),
            ([9, 0, 1], .thriftType, 0), ([11, 0, 9, 0, 0, 0, 9], .length, 3),
        ]
        for (body, kind, offset) in bodies {
            let error = #expect(throws: WireError.self) { try Self.decode(body) }
            #expect(error?.kind == kind && error?.offset == offset, "\(body) \(String(describing: error))")
        }
    }

    @Test("Invalid UTF-8 becomes U+FFFD and marks its span")
    func invalidUTF8() throws {
        let tag = Value.structure([(1, .bytes([0x6b, 0xff])), (2, .int32(0)), (3, .bytes([0xc3]))])
        let body = Self.batch([Self.span([(5, .bytes([0x61, 0xfe])), (10, .list([tag]))]), Self.span([])])
        let spans = try everyWay(body).spans.records()
        #expect(spans[0].name == "a\u{fffd}" && spans[0].marks.contains(.repairedText))
        #expect(spans[0].attributes == [Attribute("k\u{fffd}", .string("\u{fffd}"))])
        #expect(!spans[1].marks.contains(.repairedText))
    }

    @Test("A datagram of Zipkin v1 spans")
    func zipkinCall() throws {
        let span = Value.structure([(1, .int64(0xa1)), (3, .text("get")), (4, .int64(0xb1))])
        for wire in Value.Wire.allCases {
            let batch = try Self.datagram(Value.structure([(1, .list([span]))]).call("emitZipkinBatch", wire))
            #expect(try batch.spans.records().map(\.name) == ["get"])
        }
    }

    @Test("A cut or a flipped bit never breaks the batch", arguments: Value.Wire.allCases)
    func cutsAndFlips(wire: Value.Wire) throws {
        let logs = Value.list([.structure([(1, .int64(9)), (2, .list([Self.tag("event", .text("e"))]))])])
        let more: [(Int, Value)] = [
            (6, .list([Self.reference(1, 0, 5, 6)])),
            (10, .list([Self.tag("a", .double(1)), Self.tag("b", .bool(true))])),
            (11, logs),
        ]
        let batch = Self.batch(
            [Self.span(more), Self.span(id: 2)], [(3, .int64(1)), (20, .map([(.byte(1), .list([]))]))])
        let call = Value.structure([(1, batch)]).call("emitBatch", wire)
        try cutAndFlip(call) { try Self.datagram($0).spans }
        if wire == .binary { try cutAndFlip(batch.encoded(.binary)) { try Self.decode($0).spans } }
    }
}
