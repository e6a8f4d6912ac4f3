import Telemetry
import Testing
import WireFormats

@Suite("Jaeger v1 JSON")
struct JaegerJSONTests {
    private let span = SpanRecord(
        traceID: TraceID(high: 0, low: 0xa1), spanID: SpanID(3), parentID: SpanID(2), name: "GET /x", kind: 2,
        start: 1_700_000_000_000_000_999, end: 1_700_000_000_001_500_999, status: 2, statusMessage: "no",
        traceState: "v=1", flags: 257,
        attributes: [
            Attribute("i", .int(200)), Attribute("big", .int(.max)), Attribute("d", .double(0.5)),
            Attribute("b", .bytes([0, 255])), Attribute("t", .bool(false)), Attribute("l", .array([.int(1)])),
        ],
        events: [SpanEvent(time: 1_700_000_000_000_100_000, name: "retry", attributes: [Attribute("n", .int(1))])],
        links: [
            SpanLink(traceID: TraceID(high: 1, low: 2), spanID: SpanID(9)),
            SpanLink(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0)),
        ],
        resource: Resource(
            attributes: [Attribute("service.name", .string("cart")), Attribute("host.name", .string("h1"))],
            serviceName: "cart"), scope: Scope(name: "lib", version: "2"))

    @Test("One span with everything")
    func golden() {
        let expected =
            #"{"data":[{"traceID":"00000000000000a1","spans":[{"traceID":"00000000000000a1","spanID":"0000000000000003","#
            + #""flags":1,"operationName":"GET /x","references":[{"refType":"CHILD_OF","traceID":"00000000000000a1","#
            + #""spanID":"0000000000000002"},{"refType":"FOLLOWS_FROM","traceID":"00000000000000010000000000000002","#
            + #""spanID":"0000000000000009"}],"startTime":1700000000000000,"duration":1500,"tags":["#
            + #"{"key":"i","type":"int64","value":200},{"key":"big","type":"int64","value":"9223372036854775807"},"#
            + #"{"key":"d","type":"float64","value":0.5},{"key":"b","type":"binary","value":"AP8="},"#
            + #"{"key":"t","type":"bool","value":false},{"key":"l","type":"string","value":"[1]"},"#
            + #"{"key":"span.kind","type":"string","value":"server"},"#
            + #"{"key":"otel.status_code","type":"string","value":"ERROR"},{"key":"error","type":"bool","value":true},"#
            + #"{"key":"otel.status_description","type":"string","value":"no"},"#
            + #"{"key":"otel.scope.name","type":"string","value":"lib"},"#
            + #"{"key":"otel.scope.version","type":"string","value":"2"},"#
            + #"{"key":"w3c.tracestate","type":"string","value":"v=1"}],"#
            + #""logs":[{"timestamp":1700000000000100,"fields":[{"key":"event","type":"string","value":"retry"},"#
            + #"{"key":"n","type":"int64","value":1}]}],"processID":"p1","warnings":null}],"#
            + #""processes":{"p1":{"serviceName":"cart","tags":[{"key":"host.name","type":"string","value":"h1"}]}},"#
            + #""warnings":null}],"total":1,"limit":0,"offset":0,"errors":null}"#
        #expect(String(decoding: encodeJaegerTraces([[span]]), as: UTF8.self) == expected)
    }

    @Test(
        "Integers up to 2^53 - 1 are numbers, larger ones text",
        arguments: [(1 << 53) - 1, -(1 << 53) + 1, 1 << 53, -(1 << 53), .min] as [Int64])
    func exactIntegers(value: Int64) {
        var plain = span
        plain.attributes = [Attribute("i", .int(value))]
        let text = String(decoding: encodeJaegerTraces([[plain]]), as: UTF8.self)
        let isNumber = value.magnitude < 1 << 53
        #expect(text.contains(isNumber ? #""value":\#(value)}"# : #""value":"\#(value)"}"#))
    }

    @Test("Spans by start, processes once each, missing ids in errors, cuts in warnings")
    func traces() {
        var earlier = span
        earlier.spanID = SpanID(4)
        earlier.start -= 5_000
        earlier.droppedEvents = 2
        var other = span
        other.resource.serviceName = "pay"
        other.start += 5_000
        let text = String(
            decoding: encodeJaegerTraces([[span, other, earlier], []], missing: [TraceID(high: 0, low: 7)]),
            as: UTF8.self)
        let ids = text.components(after: #""spanID":"#, before: #","flags""#)
        #expect(ids == [#""0000000000000004""#, #""0000000000000003""#, #""0000000000000003""#])
        #expect(text.components(after: #""processID":"#, before: ",") == [#""p1""#, #""p1""#, #""p2""#])
        #expect(text.contains(#""errors":[{"code":404,"msg":"trace not found","traceID":"0000000000000007"}]"#))
        #expect(text.contains(#""warnings":["dropped: 0 attributes, 2 events, 0 links"]"#))
    }
}

extension JaegerJSONTests {
    @Test("A skewed clock is told in Jaeger's words, of the span it was computed for")
    func skew() {
        func span(_ id: UInt64, _ start: UInt64) -> SpanRecord {
            SpanRecord(
                traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), name: "n", start: start, end: start + 5_000)
        }
        var json = JSONWriter()
        writeJaegerTrace([span(1, 9_000), span(2, 1_000)], skews: [-2_096_153_000, 0], to: &json)
        let text = String(decoding: json.bytes, as: UTF8.self)
        let warning = "clock skew adjustment disabled; not applying calculated delta of -2.096153s"
        #expect(text.contains(#""spanID":"0000000000000002""#))
        #expect(
            text.contains(
                #""processID":"p1","warnings":null},{"traceID":"0000000000000001","spanID":"0000000000000001""#))
        #expect(text.contains(#""warnings":["\#(warning)"]}]"#))
    }

    @Test(
        "Durations as Go prints them",
        arguments: [
            (0, "0s"), (1, "1ns"), (-999, "-999ns"), (1_000, "1µs"), (408_500, "408.5µs"), (35_000_000, "35ms"),
            (1_230_939, "1.230939ms"), (1_000_000_000, "1s"), (-2_096_153_000, "-2.096153s"), (60_000_000_000, "1m0s"),
            (3_600_000_000_001, "1h0m0.000000001s"), (90_500_000_000, "1m30.5s"), (.max, "2562047h47m16.854775807s"),
            (.min, "-2562047h47m16.854775808s"),
        ] as [(Int64, String)])
    func durations(nanoseconds: Int64, text: String) {
        #expect(goDuration(nanoseconds: nanoseconds) == text)
    }
}

extension String {
    /// Every shortest text between `start` and `end`.
    fileprivate func components(after start: String, before end: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let opening = rest.firstRange(of: start) {
            rest = rest[opening.upperBound...]
            guard let closing = rest.firstRange(of: end) else { break }
            let text = String(rest[..<closing.lowerBound])
            if text.count < 24 { found.append(text) }
        }
        return found
    }
}
