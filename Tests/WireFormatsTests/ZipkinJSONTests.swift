import Telemetry
import Testing
import WireFormats

@Suite("Zipkin v2 JSON")
struct ZipkinJSONTests {
    private func out(_ text: String) throws -> String {
        String(decoding: encodeZipkinJSON(try Decode.zipkin(text).records()), as: UTF8.self)
    }

    @Test(
        "What came in as Zipkin goes out as it came",
        arguments: [
            "[]", #"[{"traceId":"00000000000000a1","id":"00000000000000b1"}]"#,
            #"[{"traceId":"00000000000000a1","id":"00000000000000b1","kind":"CLIENT","name":"get","timestamp":1700000000000000,"#
                + #""duration":1500,"localEndpoint":{"serviceName":"front","ipv4":"10.0.0.1","port":1},"#
                + #""remoteEndpoint":{"serviceName":"back","ipv4":"10.0.0.2","ipv6":"2001:db8::1","port":9},"#
                + #""annotations":[{"timestamp":1700000000000100,"value":"wire send"}],"#
                + #""tags":{"http.method":"GET","error":"500","peer.service":"tag"},"debug":true}]"#,
            #"[{"traceId":"463ac35c9f6413ad48485a3953bb6124","parentId":"00000000000000b1","id":"00000000000000b2","#
                + #""kind":"SERVER","name":"get","timestamp":1,"localEndpoint":{"serviceName":"back","ipv6":"::1"},"shared":true}]"#,
            #"[{"traceId":"00000000000000a1","id":"00000000000000b1","tags":{"error":""}}]"#,
            #"[{"traceId":"00000000000000a1","id":"00000000000000b1","tags":{"error":"true","empty":""}}]"#,
        ])
    func roundTrip(text: String) throws {
        #expect(try out(text) == text)
    }

    @Test(
        "Normalisation",
        arguments: [
            (#""traceId":"A1","id":"B1""#, #""traceId":"00000000000000a1","id":"00000000000000b1""#),
            (
                #""traceId":"0000000000000000463ac35c9f6413ad","id":"1""#,
                #""traceId":"463ac35c9f6413ad","id":"0000000000000001""#
            ),
            (
                #""traceId":"1463ac35c9f6413ad","id":"1""#,
                #""traceId":"0000000000000001463ac35c9f6413ad","id":"0000000000000001""#
            ),
            (#""traceId":"1","id":"1","parentId":"0""#, #""traceId":"0000000000000001","id":"0000000000000001""#),
            (#""traceId":"1","id":"1","parentId":"01""#, #""traceId":"0000000000000001","id":"0000000000000001""#),
            (
                #""traceId":"1","id":"1","timestamp":-5,"duration":-1,"kind":"CLIENT","shared":true"#,
                #""traceId":"0000000000000001","id":"0000000000000001","kind":"CLIENT""#
            ),
            (
                #""traceId":"1","id":"1","name":"GET","localEndpoint":{"serviceName":"Shop","ipv4":"52.0.0.04"}"#,
                #""traceId":"0000000000000001","id":"0000000000000001","name":"get","localEndpoint":{"serviceName":"shop"}"#
            ),
            (
                #""traceId":"1","id":"1","name":null,"tags":{"n":1.50,"b":true,"z":null},"extra":[{}],"annotations":[null]"#,
                #""traceId":"0000000000000001","id":"0000000000000001","tags":{"n":"1.50","b":"true"}"#
            ),
        ])
    func normalisation(input: String, output: String) throws {
        #expect(try out("[{\(input)}]") == "[{\(output)}]")
    }

    @Test("Names are stored as received, times in nanoseconds, what was absent is marked")
    func stored() throws {
        let text =
            #"[{"traceId":"1","id":"2","name":"GET","localEndpoint":{"serviceName":"Shop"},"tags":{"error":"no"}}]"#
        let span = try #require(try Decode.zipkin(text).records().first)
        #expect(span.name == "GET" && span.serviceName == "Shop" && span.isError && span.statusMessage == "no")
        #expect(span.resource.attributes == [Attribute("service.name", .string("Shop"))])
        #expect(span.start == Decode.origin.arrival && span.end == span.start)
        #expect(span.marks == [.noStart, .noDuration, .shortTraceID])
    }

    @Test("One bad span costs only itself")
    func rejectedSpans() throws {
        let text = #"""
            [{"traceId":"1","id":"2"},{"traceId":"0","id":"1"},{"traceId":"1","id":"0"},{"traceId":"xyz","id":"1"},
            {"id":"1"},{"traceId":"1","id":"1","kind":"WHAT"},{"traceId":"1","id":"1","tags":{"a":{"b":[1]}}},7,"x",
            {"traceId":"1","id":"11111111111111111"},{"traceId":"1","id":"1","timestamp":9223372036854775807},
            {"traceId":"1","id":"3","duration":"12"}]
            """#
        let decoded = try Decode.zipkin(text)
        #expect(try decoded.records().map(\.spanID.value) == [2, 3])
        #expect(decoded.received == 12)
        #expect(decoded.reasons == [.zeroTraceID: 1, .zeroSpanID: 1, .badIDLength: 2, .malformed: 6])
        #expect(decoded.message == "[1]: the trace id is all zeros")
    }

    @Test("An empty body is an empty list; what is not a list or is version 1 is refused")
    func wholeBody() throws {
        #expect(try Decode.zipkin("").received == 0)
        #expect(try Decode.zipkin(" \n").received == 0)
        let cases: [(String, WireError.Kind)] = [
            (#"{"traceId":"1"}"#, .zipkinList), ("hello", .zipkinList),
            (#"[{"traceId":"1","id":"2","name":"x","binaryAnnotations":[]}]"#, .zipkinVersion1),
            (
                #"[{"traceId":"1","id":"2","annotations":[{"endpoint":{"ipv4":"1.2.3.4"},"value":"sr"}]}]"#,
                .zipkinVersion1
            ),
            (#"[{"traceId":"1","id":"2""#, .truncated), (#"[{"traceId":"1"}] x"#, .trailing),
        ]
        for (text, kind) in cases {
            let error = #expect(throws: WireError.self) { try Decode.zipkin(text) }
            #expect(error?.kind == kind, "\(text)")
        }
    }

    @Test("An OTLP span as Zipkin shows it")
    func fromOTLP() {
        let span = SpanRecord(
            traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), name: "POST", kind: 3, start: 5_000_400,
            end: 5_000_900,
            status: 2, statusMessage: "504", traceState: "v=1",
            attributes: [
                Attribute("server.address", .string("bank")), Attribute("n", .int(7)),
                Attribute("list", .array([.int(1), .string("a")])), Attribute("network.peer.port", .int(443)),
            ],
            events: [SpanEvent(time: 5_000_500, name: "retry", attributes: [Attribute("n", .int(1))])],
            resource: Resource(
                attributes: [Attribute("service.name", .string("shop")), Attribute("host.name", .string("h"))],
                serviceName: "shop"), scope: Scope(name: "lib"))
        let expected =
            #"[{"traceId":"00000000000000010000000000000002","id":"0000000000000003","kind":"CLIENT","name":"post","#
            + #""timestamp":5000,"duration":1,"localEndpoint":{"serviceName":"shop"},"#
            + #""remoteEndpoint":{"serviceName":"bank","port":443},"#
            + #""annotations":[{"timestamp":5000,"value":"\"retry\": {\"n\":1}"}],"#
            + #""tags":{"server.address":"bank","n":"7","list":"[1,\"a\"]","otel.status_code":"ERROR","error":"504","#
            + #""otel.scope.name":"lib","w3c.tracestate":"v=1","host.name":"h"}}]"#
        #expect(String(decoding: encodeZipkinJSON([span]), as: UTF8.self) == expected)
    }

    @Test("A body cut anywhere throws; a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        let text =
            #"[{"traceId":"a1","id":"b1","kind":"CLIENT","timestamp":17,"tags":{"a":"\u00e9"},"localEndpoint":{"ipv6":"::1"}}]"#
        let body = Array(text.utf8)
        for length in 1..<body.count {
            #expect(throws: WireError.self, "\(length)") { try Decode.zipkin(Array(body[..<length])) }
        }
        for bit in 0..<body.count * 8 {
            var flipped = body
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let decoded = try? Decode.zipkin(flipped) else { continue }
            _ = encodeZipkinJSON(try decoded.records())
        }
    }

    @Test("IP addresses are told from other text")
    func addresses() throws {
        func kept(_ text: String) throws -> Bool {
            let body = #"[{"traceId":"1","id":"1","localEndpoint":{"ipv4":"\#(text)"}}]"#
            return try Decode.zipkin(body).records().first?.attributes.isEmpty == false
        }
        let good = [
            "1.2.3.4", "255.255.255.255", "0.0.0.0", "::", "::1", "1::", "2001:db8::8:800:200c:417a", "::ffff:1.2.3.4",
            "1:2:3:4:5:6:7:8",
        ]
        let bad = [
            "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", ":", ":::", "1:2", "1::2::3",
            "1:2:3:4:5:6:7:8:9", "12345::", "::g", "host",
        ]
        for text in good { #expect(try kept(text), "\(text)") }
        for text in bad { #expect(try !kept(text), "\(text)") }
    }
}
