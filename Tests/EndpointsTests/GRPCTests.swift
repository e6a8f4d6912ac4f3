import Bytes
import Endpoints
import Synchronization
import Telemetry
import Testing
import WireFormats

@Suite struct GRPCEndpointTests {
    private static let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    private static let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    private static let logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    private static let health = "/grpc.health.v1.Health/Check"

    private func request(_ path: String, _ body: [UInt8] = [], encoding: String? = nil) -> Request {
        var headers = [(name: "content-type", value: "application/x-protobuf")]
        if let encoding { headers.append((name: "content-encoding", value: encoding)) }
        return Request(method: "POST", target: path, headers: headers, body: body)
    }

    private func call(
        _ daemon: TestDaemon, _ path: String, _ body: [UInt8] = [], encoding: String? = nil
    ) -> GRPCReply {
        GRPCReply(daemon.send(request(path, body, encoding: encoding), .otlpGRPC))
    }

    /// One span with the given ids, everything else left out.
    private func export(trace: UInt8 = 1) -> [UInt8] {
        let span = [0x0A, 16] + [UInt8](repeating: trace, count: 16) + [0x12, 8] + [UInt8](repeating: 2, count: 8)
        let spans = [0x12, UInt8(span.count)] + span
        let scope = [0x12, UInt8(spans.count)] + spans
        return [0x0A, UInt8(scope.count)] + scope
    }

    @Test("Spans are stored, and the answer promises what HTTP's does", arguments: [nil, "gzip", "identity"])
    func traces(encoding: String?) throws {
        let daemon = TestDaemon()
        let body = encoding == "gzip" ? try #require(gzipped(export())) : export()
        let reply = call(daemon, Self.traces, body, encoding: encoding)
        #expect(reply.code == .ok && reply.body.isEmpty && reply.retryAfter == nil)
        #expect(reply.metadata.map(\.name) == ["crest-durability", "crest-seq", "crest-load"])
        #expect(daemon.store.records.count == 1)
        #expect(daemon.ledger.spansAcknowledged.load(ordering: .relaxed) == 1)
    }

    @Test("A bad span is a partial success with code ok")
    func partial() {
        let reply = call(TestDaemon(), Self.traces, export(trace: 0))
        #expect(reply.code == .ok)
        #expect(reply.body.starts(with: [0x0A]) && !reply.body.isEmpty)
    }

    @Test("What a broken request gets, and what it is counted as")
    func broken() {
        let cases: [(String, [UInt8], String?, RPCCode, RequestRejection)] = [
            (Self.traces, [0x0A, 0xFF], nil, .invalidArgument, .malformed),
            (Self.traces, [1, 2, 3], "gzip", .invalidArgument, .malformed),
            (Self.traces, [1], "snappy", .unimplemented, .encoding),
            (Self.metrics, [], nil, .unimplemented, .notFound),
            (Self.logs, [], nil, .unimplemented, .notFound),
            ("/a.B/C", [], nil, .unimplemented, .notFound),
            ("/v1/traces", [], nil, .unimplemented, .notFound),
            (Self.health, [0x0A, 9], nil, .invalidArgument, .malformed),
        ]
        for (path, body, encoding, code, reason) in cases {
            let daemon = TestDaemon()
            let reply = call(daemon, path, body, encoding: encoding)
            #expect(reply.code == code, "\(path)")
            #expect(!reply.message.isEmpty && reply.body.isEmpty && reply.retryAfter == nil)
            #expect(daemon.ledger.requestsRejected.counts.first { $0.reason == reason }?.count == 1, "\(path)")
        }
    }

    @Test("A busy store is UNAVAILABLE with a time to come back, before the body is read too")
    func busy() throws {
        let daemon = TestDaemon { $0.daemon.overload = { .busy(retryAfter: 4) } }
        let early = try #require(daemon.early(request(Self.traces), .otlpGRPC))
        #expect(GRPCReply(early).code == .unavailable && GRPCReply(early).retryAfter == 4)
        let later = TestDaemon()
        later.store.refusal = .readOnly("the disk is full")
        let reply = call(later, Self.traces, export())
        #expect(reply.code == .unavailable && reply.retryAfter == 5)
        #expect(reply.message == "read-only: the disk is full")
    }

    @Test("A body over the limit is RESOURCE_EXHAUSTED without a time to come back")
    func tooLarge() {
        let reply = GRPCReply(TestDaemon().router.tooLarge(request(Self.traces), listener: .otlpGRPC))
        #expect(reply.code == .resourceExhausted && reply.retryAfter == nil)
    }

    @Test("Health tells whether spans are welcome, and does not know other services")
    func health() {
        let named = Array("opentelemetry.proto.collector.trace.v1.TraceService".utf8)
        #expect(call(TestDaemon(), Self.health).body == [0x08, 1])
        #expect(call(TestDaemon(), Self.health, [0x0A, UInt8(named.count)] + named).body == [0x08, 1])
        #expect(call(TestDaemon { $0.daemon.isReady = { false } }, Self.health).body == [0x08, 2])
        #expect(call(TestDaemon { $0.daemon.overload = { .readOnly("") } }, Self.health).body == [0x08, 2])
        #expect(call(TestDaemon(), Self.health, [0x0A, 1, 97]).code == .notFound)
    }

    @Test("The gRPC methods are on the gRPC listener alone")
    func listeners() {
        for listener in ListenerRole.allCases where listener != .otlpGRPC {
            #expect(TestDaemon().send(request(Self.traces), listener).status == 404)
        }
        #expect(GRPCReply(TestDaemon().get("/metrics", .otlpGRPC)).code == .unimplemented)
    }
}
