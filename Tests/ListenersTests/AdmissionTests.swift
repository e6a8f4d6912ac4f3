import Endpoints
import Glibc
import Listeners
import Synchronization
import Telemetry
import Testing

/// Holds requests until it is opened.
private final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)
    let waiting = Atomic<Int>(0)

    func open() { isOpen.store(true, ordering: .releasing) }

    func pass() {
        waiting.add(1, ordering: .relaxed)
        while !isOpen.load(ordering: .acquiring) { usleep(500) }
    }
}

@Suite struct AdmissionTests {
    private typealias H2 = HTTP2RawConnection

    /// A service that lets in by `control`, refuses as the daemon does, and answers 200.
    private static func service(
        _ control: AdmissionControl, respond: @escaping HTTPService.Respond = { $2(Response(status: 200)) },
        lane: HTTPService.Lane = .loop
    ) -> HTTPService {
        HTTPService(
            respond: respond,
            preempt: { head in
                guard let refusal = control.admit(&head, tenant: "default", source: nil) else { return nil }
                let headers = [("retry-after", "\(refusal.retryAfter)"), ("reason", refusal.reason.rawValue)]
                return control.finish(Response(status: refusal.status, headers: headers), to: head)
            }, lane: { _ in lane })
    }

    private static func post(_ length: Int, _ encoding: String? = nil) -> String {
        let coding = encoding.map { "Content-Encoding: \($0)\r\n" } ?? ""
        return "POST /x HTTP/1.1\r\nHost: x\r\n\(coding)Content-Length: \(length)\r\n\r\n"
    }

    @Test("Memory is taken for the whole body before it is read, given back with the answer, and else refused")
    func reservation() throws {
        let budget = MemoryBudget(limitBytes: 8 << 20, requestBytes: 8 << 20)
        let control = AdmissionControl(budget: budget)
        let server = try HTTPServer(budget: budget, loopThreads: 1, poolThreads: 1)
        defer { server.drain(within: .seconds(5)) }
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: Self.service(control)).port

        let holders = try (0..<2).map { _ in try RawConnection(port: port) }
        for holder in holders { try holder.send(Self.post(900 << 10)) }
        #expect(eventually { budget.reservedBytes == 2 * 4 * 900 << 10 })
        #expect(budget.signal.state == .red)
        let third = try RawConnection(port: port)
        // Only the head is sent: the answer does not wait for the body.
        try third.send(Self.post(1_000))
        let refused = try third.readResponse()
        #expect(refused.status == 503 && refused.headers["reason"] == "memory")
        #expect(["1", "2"].contains(refused.headers["retry-after"]) && refused.headers["crest-load"] == "87")
        // A small body that was on its way is dropped and the connection goes on.
        try third.send(String(repeating: "x", count: 1_000))
        for holder in holders {
            try holder.send(String(repeating: "y", count: 900 << 10))
            #expect(try holder.readResponse().status == 200)
        }
        #expect(eventually { budget.reservedBytes == 0 } && budget.signal.state == .green)
        try third.send(Self.post(1_000) + String(repeating: "x", count: 1_000))
        #expect(try third.readResponse().status == 200)
        // A compressed body is taken for a multiple.
        let packed = try RawConnection(port: port)
        try packed.send(Self.post(1_000, "gzip"))
        #expect(eventually { budget.reservedBytes == 40_000 })
    }

    @Test("A body without a length takes its memory as it comes, and is cut where there is none")
    func chunked() throws {
        let budget = MemoryBudget(limitBytes: 1 << 20, requestBytes: 1 << 20)
        let server = try HTTPServer(budget: budget, loopThreads: 1, poolThreads: 1)
        defer { server.drain(within: .seconds(5)) }
        let service = Self.service(AdmissionControl(budget: budget))
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let connection = try RawConnection(port: port)
        try connection.send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(eventually { budget.reservedBytes == 64 << 10 })
        let chunk = "10000\r\n" + String(repeating: "c", count: 65_536) + "\r\n"
        try connection.send(chunk)
        #expect(eventually { budget.reservedBytes == 256 << 10 })
        try connection.send(String(repeating: chunk, count: 5))
        #expect(try connection.readResponse().status == 503)
        #expect(eventually { budget.reservedBytes == 0 })
    }

    @Test("Calls of gRPC take from the same memory")
    func calls() throws {
        let budget = MemoryBudget(limitBytes: 1 << 20, requestBytes: 1 << 20)
        let server = try HTTPServer(budget: budget, loopThreads: 1, poolThreads: 1)
        defer { server.drain(within: .seconds(5)) }
        let grpc = try GRPCServer(beside: server)
        defer { grpc.drain(within: .seconds(1)) }
        let service = Self.service(AdmissionControl(budget: budget))
        let port = try grpc.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let connection = try HTTP2RawConnection(RawConnection(port: port))
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/first")))
        try connection.send(H2.data, 0, 1, H2.message([], length: 240 << 10))
        #expect(eventually { budget.reservedBytes == 4 * 240 << 10 })
        try connection.call("/second", [1, 2, 3], on: 3)
        let refused = try connection.reply(3)
        #expect(refused.status == "14" && refused.fields["grpc-status-details-bin"]?.isEmpty == false)
        #expect(refused.fields["crest-load"] == "93")
        try connection.send(H2.reset, 0, 1, H2.bigEndian(8))
        #expect(eventually { budget.reservedBytes == 0 })
        try connection.call("/third", [1, 2, 3], on: 5)
        #expect(try connection.reply(5).status == "0")
    }

    @Test("What works on a request holds its memory, though the client is gone")
    func abandoned() throws {
        let gate = Gate()
        let budget = MemoryBudget(limitBytes: 1 << 20, requestBytes: 1 << 20)
        let server = try HTTPServer(budget: budget, loopThreads: 1, poolThreads: 1)
        defer { server.drain(within: .seconds(5)) }
        let grpc = try GRPCServer(beside: server)
        defer { grpc.drain(within: .seconds(1)) }
        let service = Self.service(
            AdmissionControl(budget: budget),
            respond: { request, _, reply in
                withExtendedLifetime(request) { gate.pass() }
                reply(Response(status: 200))
            }, lane: .pool)
        let port = try grpc.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let connection = try HTTP2RawConnection(RawConnection(port: port))
        try connection.call("/x", [UInt8](repeating: 1, count: 10 << 10), on: 1)
        #expect(eventually { gate.waiting.load(ordering: .relaxed) == 1 })
        try connection.send(H2.reset, 0, 1, H2.bigEndian(8))
        #expect(eventually { grpc.counts.cancelled == 1 })
        #expect(budget.reservedBytes == 64 << 10)
        gate.open()
        #expect(eventually { budget.reservedBytes == 0 })
    }

    @Test("Only so many queries run and wait; the next is told to come again on the same connection")
    func queries() throws {
        let gate = Gate()
        var limits = HTTPLimits()
        limits.queries = 3
        let server = try HTTPServer(limits: limits, loopThreads: 1, poolThreads: 1, queryThreads: 2)
        defer { server.drain(within: .seconds(5)) }
        let service = HTTPService(
            respond: { request, _, reply in
                if request.target == "/query" { gate.pass() }
                reply(Response(status: 200))
            }, lane: { $0.target == "/query" ? .query : .pool })
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let get = { (target: String) in "GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n" }
        let queries = try (0..<3).map { _ in try RawConnection(port: port) }
        for query in queries { try query.send(get("/query")) }
        #expect(eventually { server.queriesInFlight == 3 && gate.waiting.load(ordering: .relaxed) == 2 })
        let other = try RawConnection(port: port)
        try other.send(get("/query") + get("/status"))
        let answers = try other.readResponses(2)
        #expect(answers.map(\.status) == [503, 200] && answers[0].headers["retry-after"] == "1")
        gate.open()
        for query in queries { #expect(try query.readResponse().status == 200) }
        #expect(eventually { server.queriesInFlight == 0 })
        try other.send(get("/query"))
        #expect(try other.readResponse().status == 200)
    }

    @Test("A request says where it came from and when it was complete")
    func peers() throws {
        let seen = Mutex<[Request]>([])
        let service = HTTPService(respond: { request, _, reply in
            seen.withLock { $0.append(request) }
            reply(Response(status: 200))
        })
        let server = try GRPCServerUnderTest(service: service)
        let port = try server.http.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let connection = try RawConnection(port: port)
        try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try connection.readResponse().status == 200)
        let call = try server.connect()
        try call.call("/x", [1], on: 1)
        #expect(try call.reply(1).status == "0")
        let loopback = try #require(PeerAddress([127, 0, 0, 1], port: 0))
        for request in seen.withLock({ $0 }) {
            #expect(request.peer?.source == loopback.source && request.peer?.port ?? 0 > 0)
            #expect(request.completedNanoseconds > 0)
        }
        #expect(seen.withLock { $0.count } == 2)
    }
}
