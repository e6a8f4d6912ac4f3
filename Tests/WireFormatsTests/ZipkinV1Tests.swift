import Telemetry
import Testing
import WireFormats

@Suite("Zipkin v1 JSON")
struct ZipkinV1Tests {
    private static let front = #""endpoint":{"serviceName":"front","ipv4":"127.0.0.1"}"#
    private static let back = #""endpoint":{"serviceName":"back","ipv4":"127.0.0.2","port":9}"#
    private static let local = #""localEndpoint":{"serviceName":"front","ipv4":"127.0.0.1"}"#
    private static let remote = #"{"serviceName":"back","ipv4":"127.0.0.2","port":9}"#
    private static let ids = #""traceId":"00000000000000a1","id":"00000000000000b1""#

    private static func note(_ value: String, _ time: Int, _ endpoint: String = front) -> String {
        #"{"timestamp":\#(time),"value":"\#(value)",\#(endpoint)}"#
    }

    private static func tag(_ key: String, _ value: String, _ endpoint: String) -> String {
        #"{"key":"\#(key)","value":\#(value),\#(endpoint)}"#
    }

    struct Case: Sendable, CustomStringConvertible {
        var description: String
        var annotations: [String] = []
        var tags: [String] = []
        var fields = ""
        /// Spans of version 2, without the ids.
        var spans: [String]
    }

    private static let calls: [Case] = [
        Case(
            description: "client",
            annotations: [note("cs", 100), note("cr", 300), note("foo", 200)],
            tags: [tag("sa", "true", back), tag("http.path", #""/api""#, front)],
            spans: [
                #""kind":"CLIENT","timestamp":100,"duration":200,\#(local),"remoteEndpoint":\#(remote),"#
                    + #""annotations":[{"timestamp":200,"value":"foo"}],"tags":{"http.path":"/api"}"#
            ]),
        Case(
            description: "server", annotations: [note("sr", 100), note("ss", 300)], tags: [tag("ca", "true", back)],
            fields: #""timestamp":90,"duration":220,"#,
            spans: [#""kind":"SERVER","timestamp":90,"duration":220,\#(local),"remoteEndpoint":\#(remote)"#]),
        Case(
            description: "server that joined a client's span",
            annotations: [note("sr", 100), note("ss", 300)],
            spans: [#""kind":"SERVER","timestamp":100,"duration":200,\#(local),"shared":true"#]),
        Case(
            description: "both sides in one span",
            annotations: [note("cs", 100), note("sr", 150, back), note("ss", 250, back), note("cr", 300)],
            fields: #""timestamp":100,"duration":200,"#,
            spans: [
                #""kind":"CLIENT","timestamp":100,"duration":200,\#(local)"#,
                #""kind":"SERVER","timestamp":150,"duration":100,"localEndpoint":\#(remote),"shared":true"#,
            ]),
        Case(
            description: "a service that calls itself",
            annotations: [note("cs", 100), note("sr", 150), note("ss", 250), note("cr", 300)],
            fields: #""timestamp":100,"duration":200,"#,
            spans: [
                #""kind":"CLIENT","timestamp":100,"duration":200,\#(local)"#,
                #""kind":"SERVER","timestamp":150,"duration":100,\#(local),"shared":true"#,
            ]),
        Case(
            description: "no answer", annotations: [note("cs", 100), note("sr", 150, back)],
            spans: [
                #""kind":"CLIENT","timestamp":100,\#(local)"#,
                #""kind":"SERVER","timestamp":150,"localEndpoint":\#(remote),"shared":true"#,
            ]),
        Case(
            description: "only the end, with the span's own times", annotations: [note("cr", 300)],
            fields: #""timestamp":100,"duration":200,"#,
            spans: [#""kind":"CLIENT","timestamp":100,"duration":200,\#(local)"#]),
        Case(
            description: "only the end", annotations: [note("ss", 300)],
            spans: [#""kind":"SERVER",\#(local),"annotations":[{"timestamp":300,"value":"ss"}]"#]),
        Case(
            description: "an end before its start", annotations: [note("cs", 300), note("cr", 100)],
            spans: [#""kind":"CLIENT","timestamp":300,\#(local)"#]),
        Case(
            description: "the client's port under the server's name",
            annotations: [note("sr", 100), note("ss", 300)],
            tags: [tag("ca", "true", #""endpoint":{"serviceName":"front","ipv4":"127.0.0.3","port":7}"#)],
            fields: #""timestamp":100,"duration":200,"#,
            spans: [
                #""kind":"SERVER","timestamp":100,"duration":200,\#(local),"#
                    + #""remoteEndpoint":{"ipv4":"127.0.0.3","port":7}"#
            ]),
    ]

    private static let others: [Case] = [
        Case(
            description: "local", tags: [tag("lc", #""""#, front)], fields: #""name":"x","timestamp":5,"duration":1,"#,
            spans: [#""name":"x","timestamp":5,"duration":1,\#(local)"#]),
        Case(
            description: "nothing but ids", fields: #""parentId":"0","debug":true,"extra":[1],"#,
            spans: [#""debug":true"#]),
        Case(
            description: "a producer", annotations: [note("ms", 100), note("ws", 150)],
            tags: [tag("ma", "true", back)],
            spans: [#""kind":"PRODUCER","timestamp":100,"duration":50,\#(local),"remoteEndpoint":\#(remote)"#]),
        Case(
            description: "a consumer", annotations: [note("wr", 90), note("mr", 100)],
            spans: [#""kind":"CONSUMER","timestamp":90,"duration":10,\#(local)"#]),
        Case(
            description: "producer and consumer", annotations: [note("ms", 100), note("mr", 150, back)],
            spans: [
                #""kind":"PRODUCER","timestamp":100,\#(local)"#,
                #""kind":"CONSUMER","timestamp":150,"localEndpoint":\#(remote),"shared":true"#,
            ]),
        Case(
            description: "wire moments alone", annotations: [note("ws", 100)],
            spans: [#"\#(local),"annotations":[{"timestamp":100,"value":"ws"}]"#]),
        Case(
            description: "addresses alone", tags: [tag("ca", "true", front), tag("sa", "true", back)],
            spans: [#"\#(local),"remoteEndpoint":\#(remote)"#]),
        Case(
            description: "a server's address alone", tags: [tag("sa", "true", back)],
            spans: [#""remoteEndpoint":\#(remote)"#]),
        Case(
            description: "a client's address alone", tags: [tag("ca", "1", back)],
            spans: [#""kind":"SERVER","remoteEndpoint":\#(remote)"#]),
        Case(
            description: "moments and tags without an endpoint",
            annotations: [#"{"timestamp":7,"value":"cs"}"#],
            tags: [#"{"key":"n","value":1.50,"type":"DOUBLE"}"#, #"{"key":"b","value":false,"endpoint":null}"#],
            spans: [#""annotations":[{"timestamp":7,"value":"cs"}],"tags":{"n":"1.50","b":"false"}"#]),
    ]

    @Test("From one span to those of version 2", arguments: calls + others)
    func conversion(_ item: Case) throws {
        let lists =
            #""annotations":[\#(item.annotations.joined(separator: ","))],"#
            + #""binaryAnnotations":[\#(item.tags.joined(separator: ","))]"#
        let decoded = try Decode.zipkinV1("[{\(Self.ids),\(item.fields)\(lists)}]")
        let expected = item.spans.map { "{\(Self.ids),\($0)}" }.joined(separator: ",")
        #expect(String(decoding: encodeZipkinJSON(try decoded.records()), as: UTF8.self) == "[\(expected)]")
        #expect(decoded.received == item.spans.count)
    }

    @Test("One bad span costs only itself")
    func rejectedSpans() throws {
        let text = #"""
            [{"traceId":"1","id":"2","name":"ok"},{"traceId":"0","id":"1"},{"traceId":"1","id":"0"},{"id":"1"},
            {"traceId":"xyz","id":"1"},{"traceId":"1","id":"1","annotations":{}},7,
            {"traceId":"1","id":"1","timestamp":9223372036854775807}]
            """#
        let decoded = try Decode.zipkinV1(text)
        #expect(try decoded.records().map(\.spanID.value) == [2])
        #expect(decoded.reasons == [.zeroTraceID: 1, .zeroSpanID: 1, .badIDLength: 1, .malformed: 4])
    }

    @Test("What is not a list or is version 2 is refused")
    func wholeBody() throws {
        #expect(try Decode.zipkinV1("").received == 0)
        let cases: [(String, WireError.Kind)] = [
            ("{}", .zipkinListVersion1), ("hello", .zipkinListVersion1),
            (#"[{"traceId":"1","id":"2","tags":{}}]"#, .zipkinVersion2), (#"[{"traceId":"1""#, .truncated),
        ]
        for (text, kind) in cases {
            let error = #expect(throws: WireError.self) { try Decode.zipkinV1(text) }
            #expect(error?.kind == kind, "\(text)")
        }
    }

    @Test("A span that a hundred services annotated becomes as many as the limit says, and nothing is lost")
    func manyServices() throws {
        let notes = (0..<100).map { Self.note("x", $0, #""endpoint":{"serviceName":"s\#($0)"}"#) }
        let decoded = try Decode.zipkinV1("[{\(Self.ids),\"annotations\":[\(notes.joined(separator: ","))]}]")
        let spans = try decoded.records()
        #expect(spans.count == Limits.servicesPerZipkinSpan)
        #expect(spans.reduce(0) { $0 + $1.events.count } == 100)
    }

    @Test("A cut or a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        let text =
            "[{\(Self.ids),\"annotations\":[\(Self.note("cs", 1)),\(Self.note("sr", 2, Self.back))],"
            + "\"binaryAnnotations\":[\(Self.tag("sa", "true", Self.back))]}]"
        try cutAndFlip(Array(text.utf8)) { try Decode.zipkinV1($0) }
    }
}
