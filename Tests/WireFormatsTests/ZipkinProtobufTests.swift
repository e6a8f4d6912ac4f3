import Telemetry
import Testing
import WireFormats

@Suite("Zipkin protobuf")
struct ZipkinProtobufTests {
    private func out(_ body: [UInt8]) throws -> String {
        String(decoding: encodeZipkinJSON(try Decode.zipkinProtobuf(body).records()), as: UTF8.self)
    }

    /// A length-delimited field.
    private func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        precondition(content.count < 128)
        return [number << 3 | 2, UInt8(content.count)] + content
    }

    private func span(_ fields: [UInt8]) -> [UInt8] {
        [10, UInt8(fields.count & 0x7f) | 0x80, UInt8(fields.count >> 7)] + fields
    }

    private let ids: [UInt8] = [10, 8, 0, 0, 0, 0, 0, 0, 0, 0xa1, 26, 8, 0, 0, 0, 0, 0, 0, 0, 0xb1]

    /// Every field, as schemas/wire/zipkin-protobuf.md lists them.
    private var everyField: [UInt8] {
        let time: [UInt8] = [0, 0x40, 0x1e, 0x18, 0x24, 0x0a, 0x06, 0]  // 1,700,000,000,000,000
        let local = field(8, field(1, Array("Front".utf8)) + field(2, [10, 0, 0, 1]) + [32, 0x90, 0x3f])
        let ipv6: [UInt8] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        let remote = field(9, field(1, Array("back".utf8)) + field(2, [10, 0, 0, 2]) + field(3, ipv6) + [32, 9])
        let event = field(10, [9] + time + field(2, Array("wire send".utf8)))
        let tag = field(11, field(1, Array("error".utf8)) + field(2, Array("500".utf8)))
        let trace = field(1, [0x46, 0x3a, 0xc3, 0x5c, 0x9f, 0x64, 0x13, 0xad, 0, 0, 0, 0, 0, 0, 0, 0xa1])
        let parent = field(2, [0, 0, 0, 0, 0, 0, 0, 0xb0])
        let id = field(3, [0, 0, 0, 0, 0, 0, 0, 0xb1])
        return span(
            trace + parent + id + [32, 2] + field(5, Array("get".utf8)) + [0x31] + time + [56, 0xdc, 0x0b] + local
                + remote + event + tag + [96, 1, 104, 1])
    }

    @Test("Every field")
    func fields() throws {
        #expect(
            try out(everyField)
                == #"[{"traceId":"463ac35c9f6413ad00000000000000a1","parentId":"00000000000000b0","#
                + #""id":"00000000000000b1","kind":"SERVER","name":"get","timestamp":1700000000000000,"duration":1500,"#
                + #""localEndpoint":{"serviceName":"front","ipv4":"10.0.0.1","port":8080},"#
                + #""remoteEndpoint":{"serviceName":"back","ipv4":"10.0.0.2","ipv6":"2001:db8::1","port":9},"#
                + #""annotations":[{"timestamp":1700000000000000,"value":"wire send"}],"tags":{"error":"500"},"#
                + #""debug":true,"shared":true}]"#)
        let span = try #require(try Decode.zipkinProtobuf(everyField).records().first)
        #expect(span.serviceName == "Front" && span.isError && span.statusMessage == "500")
    }

    @Test("The rules of the JSON form hold: parents, times, kinds, addresses, unknown fields")
    func normalisation() throws {
        let plain = #""traceId":"00000000000000a1","id":"00000000000000b1""#
        let cases: [([UInt8], String)] = [
            (field(2, [0, 0, 0, 0, 0, 0, 0, 0]), plain), (field(2, [0, 0, 0, 0, 0, 0, 0, 0xb1]), plain),
            (field(2, []), plain), ([32, 9], plain),
            ([0x31, 255, 255, 255, 255, 255, 255, 255, 255], plain),
            ([0xa2, 1, 3, 1, 2, 3, 0xa8, 1, 5], plain), ([32, 1, 104, 1], plain + #","kind":"CLIENT""#),
            (field(8, field(2, [1, 2, 3])), plain), (field(8, []), plain),
            (
                field(9, field(3, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4])),
                plain + #","remoteEndpoint":{"ipv4":"1.2.3.4"}"#
            ),
        ]
        for (fields, expected) in cases {
            #expect(try out(span(ids + fields)) == "[{\(expected)}]", "\(fields)")
        }
    }

    @Test("One bad span costs only itself, whatever is wrong with it")
    func rejectedSpans() throws {
        let zeroTrace = field(1, [UInt8](repeating: 0, count: 8)) + field(3, [0, 0, 0, 0, 0, 0, 0, 1])
        let bad: [[UInt8]] = [
            span(zeroTrace), span(field(1, [1]) + field(3, [0, 0, 0, 0, 0, 0, 0, 1])), span([]),
            span(ids + [40, 1]), span(ids + [0x2a, 100]),
            span(ids + [0x31, 0, 0, 0, 0, 0, 0, 0, 0x7f]),
        ]
        let decoded = try Decode.zipkinProtobuf(bad.flatMap { $0 } + span(ids))
        #expect(try decoded.records().map(\.spanID.value) == [0xb1])
        #expect(decoded.received == 7)
        #expect(decoded.reasons == [.zeroTraceID: 1, .badIDLength: 2, .malformed: 3])
        #expect(decoded.message == "[0]: the trace id is all zeros")
    }

    @Test("Invalid UTF-8 becomes U+FFFD, with a mark")
    func invalidUTF8() throws {
        let tag = field(11, field(1, [0x6b, 0xff]) + field(2, [0xc3]))
        let spans = try Decode.zipkinProtobuf(span(ids + field(5, [0x61, 0xfe]) + tag) + span(ids)).records()
        #expect(spans[0].name == "a\u{fffd}" && spans[0].marks.contains(.repairedText))
        #expect(spans[0].attributes == [Attribute("k\u{fffd}", .string("\u{fffd}"))])
        #expect(!spans[1].marks.contains(.repairedText))
    }

    @Test("An empty body is an empty list; what is no list of messages is refused with its place")
    func wholeBody() throws {
        #expect(try Decode.zipkinProtobuf([]).received == 0)
        let cases: [([UInt8], WireError.Kind, Int)] = [
            ([8, 1], .wireType, 1), ([10, 5, 0], .length, 1), ([0], .fieldNumber, 0), ([10], .truncated, 1),
        ]
        for (body, kind, offset) in cases {
            let error = #expect(throws: WireError.self) { try Decode.zipkinProtobuf(body) }
            #expect(error?.kind == kind && error?.offset == offset, "\(body)")
        }
    }

    @Test("Addresses as text")
    func addresses() throws {
        let cases: [([UInt8], String)] = [
            ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "::1"), ([UInt8](repeating: 0, count: 16), "::"),
            ([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8], "1:2:3:4:5:6:7:8"),
            ([0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0], "1:0:3::7:0"),
            ([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "fe80::1:0:0:0"),
            ([0xfe, 0x80, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "fe80:1:0:0:1::"),
        ]
        for (address, text) in cases {
            let json = try out(span(ids + field(8, field(3, address))))
            #expect(json.contains(#""localEndpoint":{"ipv6":"\#(text)"}"#), "\(text): \(json)")
        }
    }

    @Test("A cut or a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        try cutAndFlip(everyField + span(ids)) { try Decode.zipkinProtobuf($0) }
    }
}
