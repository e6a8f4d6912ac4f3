import Bytes
import Endpoints
import Synchronization
import Telemetry
import Testing

private let otlpJSON = "application/json"
private let otlpProtobuf = "application/x-protobuf"

private func otlpSpan(_ trace: String = firstID, _ span: String = "0000000000000001") -> String {
    #"{"traceId":"\#(trace)","spanId":"\#(span)","name":"x","startTimeUnixNano":"5","endTimeUnixNano":"9"}"#
}

private func otlpBody(_ spans: String...) -> [UInt8] {
    #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans.joined(separator: ","))]}]}]}"#.bytes
}

private func zstd(_ bytes: [UInt8]) -> [UInt8] {
    var frame: [UInt8] = []
    _ = bytes.withUnsafeBytes { ZstdCompressor(level: 1).append($0, to: &frame) }
    return frame
}

@Suite struct IngestTests {
    @Test("OTLP JSON: stored, acknowledged with durability and sequence, visible at once")
    func accepted() {
        let daemon = TestDaemon()
        let response = daemon.post("/v1/traces", otlpBody(otlpSpan()), type: "application/json; charset=utf-8")
        #expect(response.status == 200 && response.text == "{}")
        #expect(response.header("content-type") == otlpJSON)
        #expect(response.header("crest-durability") == "synced" && response.header("crest-seq") == "1")
        #expect(daemon.store.records.first?.arrival == TestDaemon.now)
        #expect(daemon.get("/api/traces/\(firstID)").status == 200)
        #expect(daemon.ledger.spansReceived.load(ordering: .relaxed) == 1)
        #expect(daemon.ledger.spansAcknowledged.load(ordering: .relaxed) == 1)
        #expect(daemon.ledger.spansInFlight.load(ordering: .relaxed) == 0)
    }

    @Test("Every encoding of the body", arguments: ["identity", "", "gzip", "GZIP", "zstd"])
    func encodings(encoding: String) throws {
        let daemon = TestDaemon()
        let plain = otlpBody(otlpSpan())
        let body =
            switch encoding.lowercased() {
            case "gzip": try #require(gzipped(plain))
            case "zstd": zstd(plain)
            default: plain
            }
        #expect(daemon.post("/v1/traces", body, type: otlpJSON, encoding: encoding, .otlpHTTP).status == 200)
        #expect(daemon.store.records.count == 1)
    }

    @Test("An empty request is a success in both encodings")
    func empty() {
        let daemon = TestDaemon()
        let protobuf = daemon.post("/v1/traces", [], type: otlpProtobuf)
        #expect(protobuf.status == 200 && protobuf.body.isEmpty)
        #expect(protobuf.header("content-type") == otlpProtobuf)
        #expect(daemon.post("/v1/traces", [], type: otlpProtobuf, encoding: "gzip").status == 200)
        #expect(daemon.post("/v1/traces", "{}".bytes, type: otlpJSON).text == "{}")
        #expect(daemon.store.sequence == 0)
    }

    @Test("Bad spans cost only themselves: partial success, in the encoding of the request")
    func partial() {
        let daemon = TestDaemon()
        let zero = String(repeating: "0", count: 32)
        let response = daemon.post("/v1/traces", otlpBody(otlpSpan(), otlpSpan(zero)), type: otlpJSON)
        #expect(response.status == 200)
        #expect(response.text.hasPrefix(#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"#))
        #expect(daemon.store.records.count == 1)
        #expect(daemon.rejectedSpans(.zeroTraceID) == 1)
        #expect(daemon.ledger.spansReceived.load(ordering: .relaxed) == 2)
        let allBad = daemon.post("/v1/traces", otlpBody(otlpSpan(zero)), type: otlpJSON)
        #expect(allBad.status == 200 && allBad.header("crest-durability") == "synced")
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }

    @Test(
        "A refusal of the store is a 503 with Retry-After, and the ledger still balances",
        arguments: [
            (CommitRefusal.busy(retryAfter: 7), "7", SpanRejection.busy, RequestRejection.busy),
            (.busy(retryAfter: 0), "1", .busy, .busy), (.stopping, "1", .busy, .busy),
            (.readOnly("disk full"), "5", .readOnly, .readOnly),
        ])
    func refused(refusal: CommitRefusal, after: String, span: SpanRejection, request: RequestRejection) {
        let daemon = TestDaemon()
        daemon.store.refusal = refusal
        let otlp = daemon.post("/v1/traces", otlpBody(otlpSpan()), type: otlpJSON)
        #expect(otlp.status == 503 && otlp.header("retry-after") == after)
        #expect(otlp.text.hasPrefix(#"{"code":14,"message":""#))
        let zipkin = daemon.post("/api/v2/spans", #"[{"traceId":"1","id":"2"}]"#.bytes)
        #expect(zipkin.status == 503 && zipkin.header("retry-after") == after)
        #expect(daemon.rejectedSpans(span) == 2 && daemon.rejected(request) == 2)
        #expect(daemon.ledger.spansInFlight.load(ordering: .relaxed) == 0)
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
        daemon.store.refusal = nil
        #expect(daemon.post("/v1/traces", otlpBody(otlpSpan()), type: otlpJSON).status == 200)
    }

    @Test("A status in protobuf")
    func protobufStatus() {
        let response = TestDaemon().post("/v1/traces", "hello, world".bytes, type: otlpProtobuf)
        #expect(response.status == 400 && response.header("content-type") == otlpProtobuf)
        #expect(response.body.starts(with: [0x08, 3, 0x12]))
    }

    @Test("Zipkin: 202 without a body, also for nothing")
    func zipkin() {
        let daemon = TestDaemon()
        let good = #"[{"traceId":"c1","id":"c2","name":"ok","timestamp":1700000000000000,"duration":1}]"#
        for body in ["", "[]", good] {
            let response = daemon.post("/api/v2/spans", body.bytes, type: "text/anything", .zipkin)
            #expect(response.status == 202 && response.body.isEmpty, "\(body)")
        }
        #expect(daemon.post("/zipkin/api/v2/spans", good.bytes, .zipkin).status == 202)
        #expect(daemon.get("/api/v2/trace/c1", .zipkin).status == 200)
    }

    @Test("Zipkin protobuf, v1 JSON and thrift: stored, readable, 202 without a body")
    func zipkinOtherForms() {
        let daemon = TestDaemon()
        let version1 = #"[{"traceId":"d1","id":"d2","name":"v1","annotations":[]}]"#
        let thrift: [UInt8] = [
            12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xd5, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0,
        ]
        let protobuf: [UInt8] = [10, 20, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0xd3, 26, 8, 0, 0, 0, 0, 0, 0, 0, 1]
        let replies = [
            daemon.post("/api/v1/spans", version1.bytes, .zipkin), daemon.post("/zipkin/api/v1/spans", [], .zipkin),
            daemon.post("/api/v2/spans", protobuf, type: otlpProtobuf, .zipkin),
            daemon.post("/api/v1/spans", thrift, type: "application/x-thrift", .zipkin),
        ]
        for reply in replies { #expect(reply.status == 202 && reply.body.isEmpty) }
        #expect(daemon.store.records.map(\.traceID.low) == [0xd1, 0xd3, 0xd5])
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }

    @Test("Zipkin: one bad span costs itself, only bad ones cost the request")
    func zipkinDefects() {
        let daemon = TestDaemon()
        let mixed = #"[{"traceId":"c1","id":"c2"},{"traceId":"0","id":"1"}]"#
        #expect(daemon.post("/api/v2/spans", mixed.bytes).status == 202)
        #expect(daemon.store.records.count == 1)
        let bad = daemon.post("/api/v2/spans", #"[{"traceId":"0","id":"1"}]"#.bytes)
        #expect(bad.status == 400 && bad.text.contains("zero"))
        #expect(daemon.rejectedSpans(.zeroTraceID) == 2 && daemon.rejected(.malformed) == 1)
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }
}

/// A request that must be refused: what with, and under which reason it is counted.
struct BadRequest: CustomTestStringConvertible {
    var name: String
    var target: String
    var body: [UInt8] = []
    var type: String?
    var encoding: String?
    var status: Int
    var says: String
    var reason: RequestRejection

    var testDescription: String { name }

    static let bomb = gzipped([UInt8](repeating: 0, count: Limits.bodyBytes + 1)) ?? []

    static let all: [BadRequest] = [
        .init(
            name: "no type", target: "/v1/traces", status: 415,
            says: "supported: [application/json, application/x-protobuf]", reason: .mediaType),
        .init(name: "text", target: "/v1/traces", type: "text/csv", status: 415, says: "415", reason: .mediaType),
        .init(
            name: "encoding", target: "/v1/traces", body: [1], type: otlpJSON, encoding: "br", status: 415,
            says: "'br' is not known", reason: .encoding),
        .init(
            name: "two encodings", target: "/v1/traces", body: [1], type: otlpJSON, encoding: "gzip, gzip",
            status: 415, says: "'gzip, gzip'", reason: .encoding),
        .init(
            name: "corrupt gzip", target: "/v1/traces", body: "garbage".bytes, type: otlpJSON, encoding: "gzip",
            status: 400, says: "not valid gzip", reason: .malformed),
        .init(
            name: "corrupt zstd", target: "/v1/traces", body: "garbage".bytes, type: otlpJSON, encoding: "zstd",
            status: 400, says: "not valid zstd", reason: .malformed),
        .init(
            name: "corrupt deflate", target: "/v1/traces", body: "garbage".bytes, type: otlpJSON,
            encoding: "deflate", status: 400, says: "not valid deflate", reason: .malformed),
        .init(
            name: "bomb", target: "/v1/traces", body: bomb, type: otlpJSON, encoding: "gzip", status: 413,
            says: #"{"code":8,"message":"the body is larger than"#, reason: .tooLarge),
        .init(
            name: "Zipkin bomb", target: "/api/v2/spans", body: bomb, encoding: "gzip", status: 413,
            says: "larger than", reason: .tooLarge),
        .init(
            name: "cut JSON", target: "/v1/traces", body: #"{"resourceSpans":[{"#.bytes, type: otlpJSON, status: 400,
            says: "byte 19", reason: .malformed),
        .init(
            name: "wrong JSON type", target: "/v1/traces", body: #"{"resourceSpans":{}}"#.bytes, type: otlpJSON,
            status: 400, says: "expected an array", reason: .malformed),
        .init(
            name: "lying length", target: "/v1/traces", body: [0x0a, 0xff, 0xff, 0xff, 0x7f, 1], type: otlpProtobuf,
            status: 400, says: "byte", reason: .malformed),
        .init(
            name: "metrics off", target: "/v1/metrics", type: otlpJSON, status: 404,
            says: #"{"code":12,"message":"metrics are off in this daemon"#, reason: .notFound),
        .init(
            name: "logs", target: "/v1/logs", type: otlpJSON, status: 404, says: "OTLP logs are not taken",
            reason: .notFound),
        .init(
            name: "Zipkin object", target: "/api/v2/spans", body: "{}".bytes, status: 400,
            says: "Expected a JSON_V2 encoded list\n", reason: .malformed),
        .init(
            name: "Zipkin v1 body", target: "/api/v2/spans",
            body: #"[{"traceId":"1","id":"2","name":"x","binaryAnnotations":[]}]"#.bytes, status: 400,
            says: "Expected a JSON_V2 encoded list, but received: JSON_V1\n", reason: .malformed),
        .init(
            name: "Zipkin gzip", target: "/api/v2/spans", body: "x".bytes, encoding: "gzip", status: 400,
            says: "Cannot gunzip spans\n", reason: .malformed),
        .init(
            name: "Zipkin protobuf", target: "/api/v2/spans", body: [10, 200], type: otlpProtobuf, status: 400,
            says: "byte 2: the body ends too early", reason: .malformed),
        .init(
            name: "Zipkin thrift on version 2", target: "/api/v2/spans", body: [12], type: "application/x-thrift",
            status: 415, says: "not taken on /api/v2/spans", reason: .mediaType),
        .init(
            name: "Zipkin v1 path with v2", target: "/api/v1/spans",
            body: #"[{"traceId":"1","id":"2","kind":"CLIENT"}]"#.bytes, status: 400,
            says: "Expected a JSON_V1 encoded list, but received: JSON_V2\n", reason: .malformed),
        .init(
            name: "Zipkin v1 object", target: "/api/v1/spans", body: "{}".bytes, status: 400,
            says: "Expected a JSON_V1 encoded list\n", reason: .malformed),
        .init(
            name: "protobuf on version 1", target: "/api/v1/spans", body: [1], type: otlpProtobuf, status: 415,
            says: "not taken on /api/v1/spans", reason: .mediaType),
        .init(
            name: "thrift without a type", target: "/api/traces", status: 415,
            says: "415 unsupported media type, supported: [application/x-thrift", reason: .mediaType),
        .init(
            name: "empty thrift", target: "/api/traces", type: "application/x-thrift", status: 400,
            says: "byte 0: the body ends too early", reason: .malformed),
        .init(
            name: "remote write of no known message", target: "/api/v1/write", type: "application/json", status: 415,
            says: "415 unsupported media type, supported: application/x-protobuf", reason: .mediaType),
    ]
}

private let goodBody = otlpBody(otlpSpan())

@Suite struct BadRequestTests {
    @Test("Refused with place and reason, counted once, and the next good request works", arguments: BadRequest.all)
    func refused(bad: BadRequest) {
        let daemon = TestDaemon()
        let response = daemon.post(bad.target, bad.body, type: bad.type, encoding: bad.encoding)
        #expect(response.status == bad.status)
        #expect(response.text.contains(bad.says), "\(response.text)")
        #expect(daemon.rejected(bad.reason) == 1)
        #expect(daemon.ledger.requestsRejected.total == 1)
        #expect(daemon.ledger.requestsReceived.load(ordering: .relaxed) == 1)
        #expect(daemon.store.records.isEmpty)
        #expect(daemon.post("/v1/traces", goodBody, type: otlpJSON).status == 200)
    }
}
