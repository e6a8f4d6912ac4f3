import Endpoints
import Synchronization
import Telemetry
import Testing
import WireFormats

/// Compact bytes as a Jaeger client sends them.
private struct JaegerCall {
    var client = "c1"
    var sequence: UInt8 = 1
    /// Full queue, too large, failed to emit.
    var drops: (UInt8, UInt8, UInt8)?
    var spanIDs: [UInt8] = [1]

    var datagram: [UInt8] {
        var out: [UInt8] = [0x82, 0x81, 0, 9] + "emitBatch".bytes + [0x1c, 0x1c, 0x18, 4] + "shop".bytes
        out += [0x19, 0x1c, 0x18, 11] + "client-uuid".bytes + [0x15, 0, 0x18, UInt8(client.utf8.count)] + client.bytes
        out += [0, 0, 0x19, UInt8(spanIDs.count) << 4 | 0x0c]
        // Trace 7, then the id: field 3.
        for id in spanIDs { out += [0x16, 14, 0x26, id << 1, 0] }
        out += [0x16, sequence << 1]
        if let drops { out += [0x1c, 0x16, drops.0 << 1, 0x16, drops.1 << 1, 0x16, drops.2 << 1, 0] }
        return out + [0, 0]
    }
}

@Suite("Jaeger ingest")
struct JaegerIngestTests {
    private let thrift = "application/x-thrift"
    /// Binary: one span of trace 7.
    private let body: [UInt8] =
        [15, 0, 2, 12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]

    @Test("Over HTTP: stored, readable, 202 without a body, on both listeners")
    func http() {
        let daemon = TestDaemon()
        for type in [thrift, "application/vnd.apache.thrift.binary", "application/x-thrift; charset=x"] {
            let reply = daemon.post("/api/traces", body, type: type, .jaegerHTTP)
            #expect(reply.status == 202 && reply.body.isEmpty, "\(type)")
        }
        #expect(daemon.post("/api/traces", body, type: thrift).status == 202)
        #expect(daemon.store.records.count == 4)
        #expect(daemon.get("/api/traces/7").text.contains(#""spanID":"0000000000000009""#))
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }

    @Test("Over HTTP: refused with a reason")
    func refusedBodies() {
        let daemon = TestDaemon()
        #expect(daemon.post("/api/traces", body, type: "application/json", .jaegerHTTP).status == 415)
        let cut = daemon.post("/api/traces", Array(body.dropLast()), type: thrift, .jaegerHTTP)
        #expect(cut.status == 400 && cut.text == "byte 31: the body ends too early\n")
        let zero: [UInt8] = [15, 0, 2, 12, 0, 0, 0, 1, 0, 0]
        let bad = daemon.post("/api/traces", zero, type: thrift, .jaegerHTTP)
        #expect(bad.status == 400 && bad.text == "spans[0]: the trace id is all zeros\n")
        #expect(daemon.get("/api/traces", .jaegerHTTP).status == 405)
        #expect(daemon.get("/metrics", .jaegerHTTP).status == 404)
        #expect(daemon.rejectedSpans(.zeroTraceID) == 1 && daemon.rejected(.malformed) == 2)
        #expect(daemon.rejected(.mediaType) == 1)
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }

    @Test("Datagrams: every one and every span is counted")
    func datagrams() {
        let daemon = TestDaemon()
        let receiver = JaegerDatagramReceiver(daemon.router.context)
        func receive(_ datagram: [UInt8]) { datagram.withUnsafeBytes { receiver.receive($0) } }
        receive(JaegerCall(spanIDs: [1, 0, 2]).datagram)
        receive("hello".bytes)
        receive([])
        receive(Array(JaegerCall().datagram.dropLast()))
        daemon.store.refusal = .busy(retryAfter: 1)
        receive(JaegerCall(sequence: 2, spanIDs: [3, 4]).datagram)
        #expect(daemon.store.records.map(\.spanID.value) == [1, 2])
        #expect(daemon.store.records.allSatisfy { $0.serviceName == "shop" && $0.marks.contains(.noStart) })
        let ledger = daemon.ledger
        #expect(ledger.spansReceived.load(ordering: .relaxed) == 5)
        #expect(daemon.rejectedSpans(.zeroSpanID) == 1 && daemon.rejectedSpans(.busy) == 2)
        #expect(ledger.spanDatagramsRejected.counts.map(\.count) == [2, 1])
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
    }

    @Test("Gaps, repeats and drops that clients report")
    func clientStatistics() {
        let daemon = TestDaemon()
        let receiver = JaegerDatagramReceiver(daemon.router.context)
        let calls = [
            JaegerCall(sequence: 3, drops: (5, 0, 0)), JaegerCall(sequence: 4, drops: (7, 1, 2)),
            JaegerCall(sequence: 9), JaegerCall(sequence: 8), JaegerCall(sequence: 9),
            JaegerCall(client: "c2", sequence: 1), JaegerCall(client: "c2", sequence: 3, drops: (0, 0, 4)),
            JaegerCall(client: "c2", sequence: 1, drops: (1, 0, 1)), JaegerCall(client: "", sequence: 60),
        ]
        for call in calls { call.datagram.withUnsafeBytes { receiver.receive($0) } }
        let ledger = daemon.ledger
        #expect(ledger.jaegerBatches.load(ordering: .relaxed) == 8)
        #expect(ledger.jaegerBatchesMissing.load(ordering: .relaxed) == 5)
        #expect(ledger.jaegerBatchesLate.load(ordering: .relaxed) == 2)
        #expect(ledger.jaegerClientDrops.counts.map(\.count) == [8, 1, 6])
        #expect(daemon.router.context.jaegerClients.count == 2)
    }

    @Test("Hostile numbers neither trap nor count as gaps; clients are bounded, those silent longest are forgotten")
    func hostileClients() {
        let (clients, ledger) = (JaegerClients(limit: 8), Ledger())
        for number in [Int64.max, .min, -1, 0, .max, .min, 5] {
            let drops = JaegerClientDrops(fullQueue: number, tooLarge: number, failedToEmit: number)
            clients.note(JaegerClientReport(client: "x", sequence: number, drops: drops), ledger: ledger)
        }
        #expect(ledger.jaegerBatchesMissing.load(ordering: .relaxed) == 0)
        for number in 0..<100 {
            clients.note(JaegerClientReport(client: "client \(number)", sequence: 1), ledger: ledger)
            clients.note(JaegerClientReport(client: "x", sequence: Int64(6 + number)), ledger: ledger)
            #expect(clients.count <= 8)
        }
        #expect(ledger.jaegerBatchesMissing.load(ordering: .relaxed) == 0)
        #expect(ledger.jaegerBatchesLate.load(ordering: .relaxed) == 0)
        let forgotten = Int(ledger.jaegerClientsForgotten.load(ordering: .relaxed))
        #expect(forgotten + clients.count == 101)
    }
}
