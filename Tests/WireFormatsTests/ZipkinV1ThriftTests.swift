import Telemetry
import Testing
import WireFormats

@Suite("Zipkin v1 thrift")
struct ZipkinV1ThriftTests {
    typealias Value = ThriftValue

    private func out(_ spans: [Value]) throws -> String {
        let decoded = try Decode.zipkinV1Thrift(Value.list(spans).encoded(.binary))
        return String(decoding: encodeZipkinJSON(try decoded.records()), as: UTF8.self)
    }

    private let host = Value.structure([
        (1, .int32(0x7f00_0001)), (2, .int16(8_080)), (3, .text("front")),
        (4, .bytes([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])),
    ])

    private func note(_ time: Int64, _ value: String) -> Value {
        .structure([(1, .int64(time)), (2, .text(value)), (3, host)])
    }

    private func tag(_ key: String, _ type: Int32, _ value: [UInt8]) -> Value {
        .structure([(1, .text(key)), (2, .bytes(value)), (3, .int32(type)), (4, host)])
    }

    private func span(_ more: [(Int, Value)]) -> Value {
        let ids: [(Int, Value)] = [(1, .int64(0xa1)), (3, .text("get")), (4, .int64(0xb1))]
        return .structure(ids + more)
    }

    private let local = #""localEndpoint":{"serviceName":"front","ipv4":"127.0.0.1","ipv6":"2001:db8::1","port":8080}"#

    @Test("Every field")
    func everyField() throws {
        let tags = [
            tag("text", 6, Array("Grüße".utf8)), tag("b", 0, [1]), tag("i16", 2, [255, 254]),
            tag("i32", 3, [0, 0, 1, 0]), tag("i64", 4, [0, 0, 0, 0, 0, 0, 0, 9]),
            tag("d", 5, [0x3f, 0xe0, 0, 0, 0, 0, 0, 0]), tag("future", 17, Array("x".utf8)),
        ]
        let fields: [(Int, Value)] = [
            (5, .int64(0xb0)), (6, .list([note(100, "sr"), note(150, "foo"), note(300, "ss")])), (8, .list(tags)),
            (9, .bool(true)), (10, .int64(100)), (11, .int64(200)), (12, .int64(0x463a)),
        ]
        #expect(
            try out([span(fields)])
                == #"[{"traceId":"000000000000463a00000000000000a1","parentId":"00000000000000b0","#
                + #""id":"00000000000000b1","kind":"SERVER","name":"get","timestamp":100,"duration":200,\#(local),"#
                + #""annotations":[{"timestamp":150,"value":"foo"}],"tags":{"text":"Grüße","b":"true","i16":"-2","#
                + #""i32":"256","i64":"9","d":"0.5","future":"x"},"debug":true}]"#)
    }

    @Test("Bytes stay bytes; a number of another length than its type is dropped and counted")
    func values() throws {
        let tags = [tag("raw", 1, [0, 255]), tag("short", 4, [1]), tag("none", 0, []), tag("", 6, [65])]
        let decoded = try Decode.zipkinV1Thrift(Value.list([span([(8, .list(tags))])]).encoded(.binary))
        let found = try #require(try decoded.records().first)
        #expect(found.attributes.last == Attribute("raw", .bytes([0, 255])) && found.droppedAttributes == 3)
    }

    @Test("Negative times, absent addresses, unknown fields and other types are as in the other forms")
    func normalisation() throws {
        let empty = Value.structure([(1, .int32(0)), (2, .int16(0))])
        let fields: [(Int, Value)] = [
            (5, .int64(0)), (6, .list([.structure([(1, .int64(-5)), (2, .text("cs")), (3, empty)])])),
            (10, .int64(-1)), (11, .int64(-1)), (20, .map([(.text("k"), .list([.int16(1)]))])), (9, .text("true")),
        ]
        #expect(
            try out([span(fields)]) == #"[{"traceId":"00000000000000a1","id":"00000000000000b1","name":"get","#
                + #""annotations":[{"timestamp":0,"value":"cs"}]}]"#)
    }

    @Test("One bad span costs only itself")
    func rejectedSpans() throws {
        let bad: [Value] = [
            .structure([]), .structure([(1, .int64(1))]), span([(3, .bytes([0xff]))]), span([(6, .list([.int32(1)]))]),
            span([(10, .int64(.max))]),
        ]
        let decoded = try Decode.zipkinV1Thrift(Value.list(bad + [span([])]).encoded(.binary))
        #expect(try decoded.records().map(\.spanID.value) == [0xb1])
        #expect(decoded.received == 6)
        #expect(decoded.reasons == [.zeroTraceID: 1, .zeroSpanID: 1, .malformed: 3])
        #expect(decoded.message == "[0]: the trace id is all zeros")
    }

    @Test("An empty body is an empty list; what is not a list of structs is refused with its place")
    func wholeBody() throws {
        #expect(try Decode.zipkinV1Thrift([]).received == 0)
        #expect(try Decode.zipkinV1Thrift([12, 0, 0, 0, 0]).received == 0)
        #expect(try Decode.zipkinV1Thrift([0, 0, 0, 0, 0]).received == 0)
        let cases: [([UInt8], WireError.Kind, Int)] = [
            ([12], .truncated, 1), ([11, 0, 0, 0, 1, 0, 0, 0, 0], .thriftList, 0), ([0, 0, 0, 0, 1], .thriftType, 0),
            ([12, 0, 0, 0, 9, 0], .length, 0), ([12, 0, 0, 0, 1, 10, 0, 1, 0], .truncated, 8),
        ]
        for (body, kind, offset) in cases {
            let error = #expect(throws: WireError.self) { try Decode.zipkinV1Thrift(body) }
            #expect(error?.kind == kind && error?.offset == offset, "\(body) \(String(describing: error))")
        }
    }

    @Test("Invalid UTF-8 becomes U+FFFD, with a mark")
    func invalidUTF8() throws {
        let body = Value.list([span([(3, .bytes([0x61, 0xff])), (8, .list([tag("k", 6, [0x80])]))])])
        let first = try #require(try Decode.zipkinV1Thrift(body.encoded(.binary)).records().first)
        #expect(first.name == "a\u{fffd}" && first.marks.contains(.repairedText))
        #expect(first.attributes.contains(Attribute("k", .string("\u{fffd}"))))
    }

    @Test("A cut or a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        let body = Value.list([span([(6, .list([note(1, "cs")])), (8, .list([tag("sa", 0, [1])]))]), span([])])
        try cutAndFlip(body.encoded(.binary)) { try Decode.zipkinV1Thrift($0) }
    }
}
