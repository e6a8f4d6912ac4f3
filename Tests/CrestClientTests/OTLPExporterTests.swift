import CrestClient
import Synchronization
import Testing

/// Answers from a list, then with the last answer for ever.
private final class ScriptedTransport: SpanTransport {
    private let answers: [ExportOutcome]
    private let calls = Mutex(0)
    private let isDown = Mutex(false)

    init(_ answers: [ExportOutcome]) { self.answers = answers }

    var callCount: Int { calls.withLock { $0 } }
    var wasShutDown: Bool { isDown.withLock { $0 } }

    func post(_ body: [UInt8]) async -> ExportOutcome {
        let call = calls.withLock { calls in
            defer { calls += 1 }
            return calls
        }
        return answers[min(call, answers.count - 1)]
    }

    func shutdown() async { isDown.withLock { $0 = true } }
}

@Suite struct OTLPExporterTests {
    private static let ok = ExportOutcome.reply(status: 200, retryAfter: nil, rejectedSpans: 0)
    private static let busy = ExportOutcome.reply(status: 503, retryAfter: "0", rejectedSpans: 0)

    private func exporter(
        _ transport: ScriptedTransport, retryLimit: Duration = .seconds(60)
    ) -> (OTLPExporter, SpanRecorder) {
        var configuration = OTLPExporter.Configuration()
        configuration.batchSpans = 10
        configuration.concurrentRequests = 1
        configuration.retryLimit = retryLimit
        var policy = RetryPolicy()
        policy.firstDelay = .milliseconds(1)
        let exporter = OTLPExporter(configuration, transport: transport, policy: policy)
        return (exporter, exporter.recorder(for: Resource(serviceName: "test")))
    }

    private func record(_ count: Int, _ recorder: SpanRecorder) {
        for number in 0..<count { recorder.record(sampleSpan(UInt64(number) + 1)) }
    }

    @Test("Shutdown sends everything, also the part of a batch")
    func drains() async {
        let transport = ScriptedTransport([Self.ok])
        let (exporter, recorder) = exporter(transport)
        record(25, recorder)
        let statistics = await exporter.shutdown(within: .seconds(10))
        #expect(statistics.acknowledged == 25)
        #expect(statistics.pending == 0)
        #expect(statistics.requests == 3)
        #expect(transport.callCount == 3)
        #expect(transport.wasShutDown)
        let again = await exporter.shutdown(within: .seconds(1))
        #expect(again == statistics)
    }

    @Test("A busy server gets the same batch again until it takes it")
    func retries() async {
        let transport = ScriptedTransport([Self.busy, .unreachable, Self.busy, Self.ok])
        let (exporter, recorder) = exporter(transport)
        record(10, recorder)
        let isSettled = await exporter.flush(within: .seconds(10))
        #expect(isSettled)
        #expect(exporter.statistics.acknowledged == 10)
        #expect(exporter.statistics.requests == 4)
        #expect(exporter.statistics.retries == 3)
        await exporter.shutdown(within: .seconds(1))
    }

    @Test("A refused batch is not repeated and is counted")
    func refused() async {
        let transport = ScriptedTransport([.reply(status: 400, retryAfter: nil, rejectedSpans: 0), Self.ok])
        let (exporter, recorder) = exporter(transport)
        record(20, recorder)
        let statistics = await exporter.shutdown(within: .seconds(10))
        #expect(statistics.dropped.refused == 10)
        #expect(statistics.acknowledged == 10)
        #expect(statistics.retries == 0)
    }

    @Test("Partial success splits a batch into taken and rejected")
    func partial() async {
        let transport = ScriptedTransport([.reply(status: 200, retryAfter: nil, rejectedSpans: 3)])
        let (exporter, recorder) = exporter(transport)
        record(10, recorder)
        let statistics = await exporter.shutdown(within: .seconds(10))
        #expect(statistics.acknowledged == 7)
        #expect(statistics.rejected == 3)
    }

    @Test("Repeating ends at its limit")
    func givesUp() async {
        let transport = ScriptedTransport([.reply(status: 503, retryAfter: "20", rejectedSpans: 0)])
        let (exporter, recorder) = exporter(transport, retryLimit: .seconds(5))
        record(10, recorder)
        let statistics = await exporter.shutdown(within: .seconds(10))
        #expect(statistics.dropped.gaveUp == 10)
        #expect(transport.callCount == 1)
    }

    @Test("A server that never answers well does not hold shutdown beyond its deadline")
    func deadline() async {
        let transport = ScriptedTransport([.reply(status: 503, retryAfter: "20", rejectedSpans: 0)])
        let (exporter, recorder) = exporter(transport)
        record(35, recorder)
        let began = ContinuousClock.now
        let statistics = await exporter.shutdown(within: .milliseconds(50))
        // Well below the 20 s that the server asked to wait; a busy machine may stretch the 50 ms.
        #expect(ContinuousClock.now - began < .seconds(15))
        #expect(statistics.dropped.shutdown == 35)
        #expect(statistics.pending == 0)
        #expect(transport.wasShutDown)
    }

    @Test("The real client against a port where nobody listens: counted, not trapped")
    func nobodyListens() async throws {
        var configuration = OTLPExporter.Configuration(endpoint: "http://127.0.0.1:1")
        configuration.retryLimit = .milliseconds(1)
        configuration.requestTimeout = .milliseconds(300)
        let exporter = try OTLPExporter(configuration)
        record(3, exporter.recorder(for: Resource(serviceName: "test")))
        let statistics = await exporter.shutdown(within: .seconds(10))
        #expect(statistics.dropped.gaveUp == 3)
    }

    @Test(
        "Endpoints with and without a path",
        arguments: [
            ("http://h:4318", "http://h:4318/v1/traces"), ("http://h:4318/", "http://h:4318/v1/traces"),
            ("https://h/otlp/v1/traces", "https://h/otlp/v1/traces"), ("http://[::1]:1", "http://[::1]:1/v1/traces"),
        ])
    func endpoints(endpoint: String, url: String) throws {
        #expect(try tracesURL(endpoint) == url)
    }

    @Test(
        "Endpoints that cannot work",
        arguments: ["", "h:4318", "ftp://h", "http://", "http:///v1/traces", "http://a b"])
    func badEndpoints(endpoint: String) {
        #expect(throws: ConfigurationError.self) { try tracesURL(endpoint) }
    }
}
