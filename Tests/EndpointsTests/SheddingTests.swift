import Endpoints
import MetricsEngine
import SpanPipeline
import Synchronization
import Telemetry
import Testing
import WireFormats

/// A daemon whose load is set by the test.
private struct LoadedDaemon {
    let daemon: TestDaemon
    let signal = LoadSignal()
    let shedder: LoadShedder
    private let clock: Clock

    private final class Clock: Sendable {
        let now = Atomic<UInt64>(1_000_000_000_000)
    }

    init(_ mixedBatch: MixedBatch, _ state: LoadState) {
        let clock = Clock()
        let held = Mutex<LoadShedder?>(nil)
        let signal = signal
        daemon = TestDaemon { context in
            let shedder = LoadShedder(
                ledger: context.ledger, signal: signal, mixedBatch: mixedBatch, onset: 0,
                clock: { clock.now.load(ordering: .relaxed) })
            context.shedder = shedder
            held.withLock { $0 = shedder }
        }
        self.clock = clock
        shedder = daemon.router.context.shedder
        signal.set(state)
    }

    func pass(seconds: UInt64) {
        clock.now.add(seconds * 1_000_000_000, ordering: .relaxed)
        shedder.expire()
    }

    var storedIDs: [UInt64] { daemon.store.records.map(\.spanID.value).sorted() }
    var inFlight: Int64 { daemon.ledger.spansInFlight.load(ordering: .relaxed) }
    var received: UInt64 { daemon.ledger.spansReceived.load(ordering: .relaxed) }
    var rescued: UInt64 { daemon.ledger.spansRescued.load(ordering: .relaxed) }
    var isBalanced: Bool { daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#) }

    func postOTLP(_ spans: [SpanRecord], json: Bool = false, _ listener: ListenerRole = .http) -> Response {
        let method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        let target = listener == .otlpGRPC ? method : "/v1/traces"
        let type = json ? "application/json" : "application/x-protobuf"
        return daemon.post(target, json ? encodeOTLPTracesJSON(spans) : encodeOTLPTraces(spans), type: type, listener)
    }
}

private func span(_ trace: UInt64, _ id: UInt64, error: Bool = false) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 1, low: trace), spanID: SpanID(id), name: "get", kind: 2, start: 5, end: 9,
        status: error ? 2 : 0, resource: shop[0].resource)
}

@Suite("Shedding at the endpoints")
struct SheddingTests {
    private let mixed = [span(1, 11), span(2, 21, error: true), span(2, 22), span(3, 31)]

    @Test("Green: everything is stored and nothing is said", arguments: [MixedBatch.retry, .shed])
    func green(mixedBatch: MixedBatch) {
        let loaded = LoadedDaemon(mixedBatch, .green)
        let reply = loaded.postOTLP(mixed)
        #expect(reply.status == 200 && reply.body.isEmpty && reply.header("crest-shed") == nil)
        #expect(loaded.storedIDs == [11, 21, 22, 31] && loaded.isBalanced)
    }

    @Test("Shed: important traces are stored, the answer counts the others", arguments: [true, false])
    func shed(json: Bool) {
        let loaded = LoadedDaemon(.shed, .orange)
        let reply = loaded.postOTLP(mixed, json: json)
        #expect(reply.status == 200 && reply.header("crest-shed") == "2" && reply.header("crest-seq") == "1")
        if json {
            let text = #"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"shed: overload, 2"}}"#
            #expect(reply.text == text)
        } else {
            #expect(reply.body == [10, 21, 8, 2, 18, 17] + "shed: overload, 2".bytes)
        }
        #expect(loaded.storedIDs == [21, 22])
        #expect(loaded.received == 4 && loaded.inFlight == 2 && loaded.isBalanced)
        loaded.pass(seconds: 2)
        #expect(loaded.inFlight == 0 && loaded.daemon.rejectedSpans(.shed) == 2 && loaded.isBalanced)
        let metrics = loaded.daemon.get("/api/crest/v1/ledger").text
        #expect(metrics.contains(#""rejected":{"shed":2}"#), "\(metrics)")
    }

    @Test("A span that is no good is told beside those that are shed")
    func shedAndBad() {
        let loaded = LoadedDaemon(.shed, .orange)
        var bad = span(2, 23)
        bad.spanID = SpanID(0)
        let reply = loaded.postOTLP(mixed + [bad], json: true)
        #expect(reply.text.contains(#""rejectedSpans":"3","errorMessage":"shed: overload, 2; resourceSpans[0]"#))
        #expect(loaded.received == 5 && loaded.daemon.rejectedSpans(.zeroSpanID) == 1 && loaded.isBalanced)
    }

    @Test("Everything shed is still an answer, and nothing is committed")
    func allShed() {
        let loaded = LoadedDaemon(.shed, .orange)
        let reply = loaded.postOTLP([span(1, 11)])
        #expect(reply.status == 200 && reply.header("crest-shed") == "1" && loaded.daemon.store.sequence == 0)
        #expect(loaded.isBalanced)
    }

    @Test("Retry: a mixed batch is refused as a whole, one of important traces is taken")
    func retry() {
        let loaded = LoadedDaemon(.retry, .orange)
        for json in [true, false] {
            let reply = loaded.postOTLP(mixed, json: json)
            #expect(reply.status == 503 && reply.header("retry-after") == "1" && reply.header("crest-shed") == nil)
        }
        #expect(loaded.storedIDs.isEmpty && loaded.received == 8 && loaded.daemon.rejectedSpans(.busy) == 8)
        #expect(loaded.daemon.rejected(.busy) == 2 && loaded.isBalanced)
        #expect(loaded.postOTLP(Array(mixed[1...2])).status == 200)
        #expect(loaded.storedIDs == [21, 22] && loaded.inFlight == 0 && loaded.isBalanced)
    }

    @Test(
        "Red: nothing of a client is taken, whatever the mode, and nothing of it is read",
        arguments: [MixedBatch.retry, .shed])
    func red(mixedBatch: MixedBatch) {
        let loaded = LoadedDaemon(mixedBatch, .red)
        #expect(loaded.postOTLP(mixed).status == 503)
        #expect(loaded.postOTLP([span(2, 21, error: true)], .otlpGRPC).status == 503)
        let zipkin = #"[{"traceId":"1","id":"2","tags":{"error":"x"}},{"traceId":"0","id":"1"}]"#
        #expect(loaded.daemon.post("/api/v2/spans", zipkin.bytes).status == 503)
        // Nor is it said what else is wrong with it.
        #expect(loaded.daemon.post("/api/v2/spans", "[{".bytes).status == 503)
        #expect(loaded.daemon.post("/api/v1/spans", [7, 7, 7], type: "application/x-thrift").status == 503)
        #expect(loaded.daemon.post("/api/traces", [7, 7, 7], type: "application/x-thrift").status == 503)
        #expect(loaded.storedIDs.isEmpty && loaded.received == 0 && loaded.isBalanced)
        #expect(loaded.daemon.rejected(.busy) == 6 && loaded.daemon.rejected(.malformed) == 0)
    }

    @Test("A request is not crowded by itself: alone it is stored in any state, beside others it is told to come again")
    func alone() {
        let signal = LoadSignal()
        let large = encodeOTLPTraces((1...40).map { span($0, $0) })
        let small = encodeOTLPTraces((1...6).map { span(100 + $0, $0) })
        // Plain bodies count four times.
        let budget = MemoryBudget(limitBytes: .max, requestBytes: large.count * 5, signal: signal)
        let daemon = TestDaemon { context in
            context.admission = AdmissionControl(budget: budget)
            context.shedder = LoadShedder(ledger: context.ledger, signal: signal, onset: 0)
        }
        func post(_ body: [UInt8]) -> Int {
            var request = Request(method: "POST", target: "/v1/traces")
            request.headers = [("content-type", "application/x-protobuf"), ("content-length", "\(body.count)")]
            if let refused = daemon.router.refusal(beforeBodyOf: &request, listener: .http) { return refused.status }
            #expect(signal.state == .orange)
            request.body = body
            return daemon.send(request).status
        }
        #expect(post(large) == 200)
        #expect(daemon.store.records.count == 40)
        let other = MemoryReservation(budget, weight: .body)
        #expect(other.cover(body: large.count * 4 - small.count * 3) == nil)
        #expect(post(small) == 503)
        other.release()
        #expect(daemon.store.records.count == 40 && daemon.rejectedSpans(.busy) == 6)
    }

    @Test("Over gRPC the same")
    func grpc() {
        let loaded = LoadedDaemon(.shed, .orange)
        let reply = GRPCReply(loaded.postOTLP(mixed, .otlpGRPC))
        #expect(reply.code == .ok && reply.metadata.contains { $0 == ("crest-shed", "2") })
        #expect(reply.body == [10, 21, 8, 2, 18, 17] + "shed: overload, 2".bytes)
        #expect(loaded.storedIDs == [21, 22] && loaded.isBalanced)
    }

    @Test("Zipkin and Jaeger have no word for it: 202, a header, and the ledger")
    func otherProtocols() {
        let loaded = LoadedDaemon(.shed, .orange)
        let zipkin = #"[{"traceId":"1","id":"2","tags":{"error":"x"}},{"traceId":"5","id":"1"}]"#
        let replies = [
            loaded.daemon.post("/api/v2/spans", zipkin.bytes),
            loaded.daemon.post(
                "/api/traces",
                [15, 0, 2, 12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0],
                type: "application/x-thrift"),
        ]
        for reply in replies {
            #expect(reply.status == 202 && reply.body.isEmpty && reply.header("crest-shed") == "1")
        }
        #expect(loaded.storedIDs == [2] && loaded.inFlight == 2 && loaded.isBalanced)
    }

    @Test("Datagrams are shed by class in either mode", arguments: [MixedBatch.retry, .shed])
    func datagrams(mixedBatch: MixedBatch) {
        let loaded = LoadedDaemon(mixedBatch, .orange)
        let metrics = MetricsService(ledger: loaded.daemon.ledger, now: { TestDaemon.now })
        let receiver = CrestDatagramReceiver(loaded.daemon.router.context, lines: metrics.makeReceiver())
        var head = CrestDatagramHead()
        (head.source, head.epoch, head.time, head.signal) = (7, TestDaemon.now + 1, TestDaemon.now, .spans)
        for spans in [[mixed[0], mixed[1]], [mixed[2], mixed[3]]] {
            head.sequence += 1
            head.produced += 2
            head.items = 2
            let bytes = encodeOTLPTraces(spans).withUnsafeBytes { encodeCrestDatagram(head, payload: $0) }
            bytes.withUnsafeBytes { receiver.receive($0) }
        }
        receiver.tick()
        #expect(loaded.storedIDs == [21, 22] && loaded.received == 4 && loaded.inFlight == 2 && loaded.isBalanced)
        let account = loaded.daemon.router.context.datagramSources.account
        #expect(account.difference == 0)
        // Jaeger: one span of trace 7, no error.
        let datagram: [UInt8] =
            [0x82, 0x81, 0, 9] + "emitBatch".bytes + [0x1c, 0x1c, 0x18, 4] + "shop".bytes
            + [0, 0x19, 0x1c, 0x16, 14, 0x26, 2, 0, 0, 0]
        let jaeger = JaegerDatagramReceiver(loaded.daemon.router.context)
        datagram.withUnsafeBytes { jaeger.receive($0) }
        #expect(loaded.received == 5 && loaded.inFlight == 3 && loaded.storedIDs == [21, 22] && loaded.isBalanced)
    }

    @Test("An error brings back what was shed of its trace, from every format; the ledger says so")
    func rescue() {
        let loaded = LoadedDaemon(.shed, .orange)
        #expect(loaded.postOTLP([span(1, 11), span(4, 41), span(1, 12)]).header("crest-shed") == "3")
        #expect(loaded.postOTLP([span(1, 13), span(5, 51)], json: true).header("crest-shed") == "2")
        let zipkin = #"[{"traceId":"00000000000000010000000000000001","id":"e"}]"#
        #expect(loaded.daemon.post("/api/v2/spans", zipkin.bytes).header("crest-shed") == "1")
        #expect(loaded.storedIDs.isEmpty && loaded.inFlight == 6)
        #expect(loaded.postOTLP([span(1, 19, error: true)]).status == 200)
        #expect(loaded.storedIDs == [11, 12, 13, 14, 19])
        #expect(loaded.rescued == 4 && loaded.inFlight == 2 && loaded.isBalanced)
        loaded.pass(seconds: 2)
        #expect(loaded.daemon.rejectedSpans(.shed) == 2 && loaded.inFlight == 0 && loaded.isBalanced)
        let ledger = loaded.daemon.get("/api/crest/v1/ledger").text
        #expect(ledger.contains(#""shed":{"p2":6},"rescued":4"#), "\(ledger)")
    }

    @Test("A rescue that the store refuses ends as shed")
    func refusedRescue() {
        let loaded = LoadedDaemon(.shed, .orange)
        #expect(loaded.postOTLP([span(1, 11)]).status == 200)
        loaded.daemon.store.refusal = .busy(retryAfter: 1)
        #expect(loaded.postOTLP([span(1, 12, error: true)]).status == 503)
        #expect(loaded.rescued == 0 && loaded.daemon.rejectedSpans(.shed) == 1 && loaded.inFlight == 0)
        #expect(loaded.isBalanced)
    }

    @Test("Damaged bodies are refused as ever, and the books stay right", arguments: [MixedBatch.retry, .shed])
    func damaged(mixedBatch: MixedBatch) {
        let loaded = LoadedDaemon(mixedBatch, .yellow)
        let body = encodeOTLPTraces(mixed)
        for length in 1..<body.count {
            let status = loaded.daemon.post("/v1/traces", Array(body[..<length]), type: "application/x-protobuf").status
            #expect([200, 400, 503].contains(status), "\(length)")
        }
        loaded.pass(seconds: 3)
        #expect(loaded.isBalanced && loaded.inFlight == 0)
    }
}
