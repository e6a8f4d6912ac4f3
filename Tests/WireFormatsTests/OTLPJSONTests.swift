import Telemetry
import Testing
import WireFormats

@Suite("OTLP JSON")
struct OTLPJSONTests {
    private func spanBody(_ fields: String) -> String {
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"# + fields + "}]}]}]}"
    }

    private let ids = #""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174""#

    @Test("Every field comes back, and both forms decode to the same", arguments: 1...40 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = TestRandom(seed)
        let spans = RandomSpans.list(20, &random)
        let json = try Decode.otlpJSON(encodeOTLPTracesJSON(spans)).records()
        #expect(byID(json) == byID(spans), "seed \(seed)")
        #expect(try Decode.otlp(encodeOTLPTraces(spans)).records() == json, "seed \(seed)")
    }

    @Test("Ids in either case, numbers or strings, unknown fields and nulls")
    func liberal() throws {
        let body = spanBody(
            ids + #"""
                ,"parentSpanId":"","name":"n\u00e9","kind":"3","startTimeUnixNano":1544712660000000001,
                "endTimeUnixNano":"1544712661000000000","unknown":{"a":[1,{"b":null}]},"events":null,"trace_state":"x",
                "attributes":[{"value":{"intValue":"9007199254740993"},"key":"i"},{"key":"d","value":{"doubleValue":"NaN"}},
                {"key":"b","value":{"bytesValue":"AP8"}},{"key":"e","value":{}},{"key":"n"},{"key":"z","value":null}]
                """#)
        let span = try #require(try Decode.otlpJSON(body).records().first)
        #expect(span.traceID.hex32 == "5b8efff798038103d269b633813fc60c" && span.spanID.hex == "eee19b7ec3c1b174")
        #expect(span.parentID == nil && span.name == "né" && span.kind == 3 && span.traceState == "")
        #expect(span.start == 1_544_712_660_000_000_001)
        #expect(span.attributes.map(\.key) == ["i", "d", "b", "e", "n", "z"])
        #expect(span.attributes[0].value == .int(9_007_199_254_740_993))
        #expect(span.attributes[2].value == .bytes([0, 255]))
        #expect(span.attributes[3...].allSatisfy { $0.value == .empty })
    }

    @Test("A resource, a scope and schema URLs behind the spans count as if they stood before")
    func lateContainers() throws {
        let body = #"""
            {"resourceSpans":[{"scopeSpans":[{"spans":[{\#(ids)}],"scope":{"name":"late"},"schemaUrl":"s"}],
            "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"schemaUrl":"r"}]}
            """#
        let span = try #require(try Decode.otlpJSON(body).records().first)
        #expect(span.scope.name == "late" && span.scope.schemaURL == "s")
        #expect(span.serviceName == "shop" && span.resource.schemaURL == "r")
    }

    @Test("Bad ids cost their span only; text that is no hexadecimal is malformed")
    func identifiers() throws {
        let list = [
            #""traceId":"00","spanId":"EEE19B7EC3C1B174""#,
            #""traceId":"\#(String(repeating: "0", count: 32))","spanId":"EEE19B7EC3C1B174""#,
            #""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B17""#, ids,
        ]
        let body = spanBody(list.joined(separator: "},{"))
        let decoded = try Decode.otlpJSON(body)
        #expect(decoded.reasons == [.badIDLength: 2, .zeroTraceID: 1] && decoded.batch.spans.count == 1)
        let error = #expect(throws: WireError.self) { try Decode.otlpJSON(spanBody(#""traceId":"zz""#)) }
        #expect(error?.kind == .identifier)
    }

    @Test(
        "Values of the wrong type are refused",
        arguments: [
            #"{"resourceSpans":{"a":1}}"#, "[]", "", "{", #"{"resourceSpans": [{]}"#, "1",
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":1}]}]}]}"#,
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"x"}]}]}]}"#,
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":{"intValue":1.5}}]}]}]}]}"#,
            #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":{"bytesValue":"?"}}]}]}]}]}"#,
            "{} x",
        ])
    func wrongTypes(text: String) {
        #expect(throws: WireError.self) { try Decode.otlpJSON(text) }
    }

    @Test("An error says where it is, for people too")
    func place() {
        let error = #expect(throws: WireError.self) { try Decode.otlpJSON(#"{"resourceSpans": [{]}"#) }
        #expect(error?.description == "resourceSpans[0], byte 20: expected a string")
    }

    @Test("A body cut anywhere throws; a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        var random = TestRandom(11)
        let body = encodeOTLPTracesJSON(RandomSpans.list(2, &random))
        for length in 0..<body.count {
            #expect(throws: WireError.self, "\(length)") { try Decode.otlpJSON(Array(body[..<length])) }
        }
        for bit in 0..<body.count * 8 {
            var flipped = body
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let decoded = try? Decode.otlpJSON(flipped) else { continue }
            _ = try decoded.records()
        }
    }

    @Test("Answers in both encodings")
    func answers() {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        #expect(OTLPEncoding.protobuf.exportResponse() == [])
        #expect(text(OTLPEncoding.json.exportResponse()) == "{}")
        #expect(
            OTLPEncoding.protobuf.exportResponse(rejectedSpans: 3, message: "no")
                == [0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 0x6e, 0x6f])
        #expect(
            text(OTLPEncoding.json.exportResponse(rejectedSpans: 3, message: "no"))
                == #"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#)
        #expect(OTLPEncoding.protobuf.status(.invalidArgument, message: "no") == [0x08, 0x03, 0x12, 0x02, 0x6e, 0x6f])
        #expect(text(OTLPEncoding.json.status(.unavailable, message: "a\"b")) == #"{"code":14,"message":"a\"b"}"#)
        let details = #"[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"#
        #expect(
            text(OTLPEncoding.json.status(.invalidArgument, message: "no", badField: "a[0]"))
                == #"{"code":3,"message":"no","details":\#(details)"field":"a[0]","description":"no"}]}]}"#)
        #expect(
            text(OTLPEncoding.json.status(.invalidArgument, message: "no", badField: ""))
                == #"{"code":3,"message":"no","details":\#(details)"description":"no"}]}]}"#)
    }
}
