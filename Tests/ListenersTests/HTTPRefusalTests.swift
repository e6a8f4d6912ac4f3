import Endpoints
import Listeners
import Synchronization
import Telemetry
import Testing

@Suite struct HTTPRefusalTests {
    private static func small() -> HTTPLimits {
        var limits = HTTPLimits()
        limits.bodyBytes = 1_000
        limits.headerBytes = 2_000
        limits.headerFields = 20
        limits.sweepInterval = .milliseconds(10)
        limits.headerTimeout = .milliseconds(100)
        limits.bodyTimeout = .milliseconds(100)
        limits.idleTimeout = .milliseconds(150)
        limits.lingerTimeout = .milliseconds(500)
        return limits
    }

    /// Sends `request`, expects `status` and a closed connection, and that the next connection works.
    private func expect(_ status: Int, _ request: String, limits: HTTPLimits = small()) throws {
        let server = try ServerUnderTest(limits: limits)
        let connection = try server.connect()
        try connection.send(request)
        let responses = RawResponse.parse(try connection.readToEnd())
        #expect(responses.map(\.status) == [status], "\(request.prefix(80))")
        #expect(responses.first?.headers["connection"] == "close")
        let next = try server.connect()
        try next.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(try next.readResponse().status == 200)
        #expect(server.server.bodyBytesInFlight == 0)
    }

    @Test("A body over the limit is refused: by its length before it is read, by its chunks when they pass it")
    func bodyTooLarge() throws {
        try expect(413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        try expect(
            413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + String(repeating: "x", count: 1_001))
        let chunk = "200\r\n" + String(repeating: "y", count: 512) + "\r\n"
        try expect(413, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\(chunk)\(chunk)0\r\n\r\n")
    }

    @Test("A body of exactly the limit is taken")
    func bodyAtLimit() throws {
        let server = try ServerUnderTest(limits: Self.small())
        let connection = try server.connect()
        try connection.send(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 1_000))
        #expect(try connection.readResponse().status == 200)
    }

    @Test("Headers over the limit in bytes or fields are refused")
    func headerTooLarge() throws {
        try expect(431, "GET / HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 2_000))\r\n\r\n")
        try expect(431, "GET /\(String(repeating: "a", count: 2_000)) HTTP/1.1\r\nHost: x\r\n\r\n")
        let fields = (0..<30).map { "h\($0): v\r\n" }.joined()
        try expect(431, "GET / HTTP/1.1\r\nHost: x\r\n\(fields)\r\n")
    }

    @Test("Slow headers and slow bodies get 408")
    func slow() throws {
        try expect(408, "GET / HTTP/1.1\r\nHost:")
        try expect(408, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    }

    @Test("An idle connection is closed without a word")
    func idle() throws {
        let server = try ServerUnderTest(limits: Self.small())
        #expect(try server.connect().readToEnd() == "")
    }

    @Test(
        "What is not HTTP/1 or could be read in two ways is refused",
        arguments: [
            "BAD\r\n\r\n", "GET / HTTP/1.1\r\nNo colon here\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n",
            "\0\0\0\0\0\0\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST / HTTP/1.1\r\nHost : x\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        ])
    func malformed(request: String) throws {
        try expect(400, request)
    }

    @Test("Other versions are told so")
    func version() throws {
        try expect(505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n")
    }

    @Test("A request that ends in the middle leaves nothing behind", arguments: 1..<60)
    func cut(length: Int) throws {
        let whole = "POST /cut HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n12345678"
        let server = try ServerUnderTest(limits: Self.small())
        let connection = try server.connect()
        try connection.send(String(whole.prefix(min(length, whole.count - 1))))
        connection.finishSending()
        _ = try connection.readToEnd()
        #expect(eventually { server.server.openConnections == 0 })
        #expect(server.server.bodyBytesInFlight == 0)
    }

    @Test("Bodies share a budget; what is over it is told to come again")
    func budget() throws {
        var limits = Self.small()
        limits.bodyBytesInFlight = 1_500
        limits.bodyTimeout = .seconds(10)
        let server = try ServerUnderTest(limits: limits)
        let first = try server.connect()
        try first.send("POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        #expect(try first.readResponse().status == 100)
        let second = try server.connect()
        try second.send("POST /second HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        let refused = try second.readResponse()
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        try first.send(String(repeating: "x", count: 1_000))
        #expect(try first.readResponse().status == 200)
        let third = try server.connect()
        try third.send("POST /third HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try third.readResponse().body == "POST /third abc")
    }

    @Test("Connections over the limit are closed at once, and counted")
    func connectionLimit() throws {
        var limits = Self.small()
        limits.connections = 2
        limits.idleTimeout = .seconds(10)
        let server = try ServerUnderTest(limits: limits)
        let kept = try [server.connect(), server.connect()]
        for connection in kept {
            try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try connection.readResponse().status == 200)
        }
        let surplus = try server.connect().readToEnd()
        withExtendedLifetime(kept) { #expect(surplus == "") }
        #expect(server.server.connectionsRefused == 1)
    }

    @Test("When many are refused, the answers are held back, and come")
    func heldBack() throws {
        var limits = HTTPLimits()
        limits.refusalsAtOnce = 2
        let service = HTTPService(
            respond: { _, _, reply in reply(Response(status: 200)) },
            preempt: { $0.target == "/busy" ? Response(status: 503, headers: [("retry-after", "2")]) : nil })
        let server = try ServerUnderTest(limits: limits, service: service)
        let start = ContinuousClock.now
        let connections = try (0..<4).map { _ in try server.connect() }
        for connection in connections {
            try connection.send(
                "POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                    + "POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny")
        }
        for connection in connections { #expect(try connection.readResponses(2).map(\.status) == [503, 200]) }
        #expect(ContinuousClock.now - start >= .milliseconds(500))
        // One that leaves while it waits for its answer, and one that waits while the server drains.
        try server.connect().send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        #expect(server.server.bodyBytesInFlight == 0)
    }

    @Test("One address gets its share of the connections; another address gets the rest")
    func connectionsOfAnAddress() throws {
        var limits = Self.small()
        limits.connectionsPerAddress = 2
        limits.idleTimeout = .seconds(10)
        let server = try ServerUnderTest(limits: limits)
        func answers(_ connection: RawConnection) throws -> Bool {
            do {
                try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return try !connection.receive().isEmpty
            } catch is SocketFailure { return false }
        }
        var kept = try [server.connect(), server.connect()]
        #expect(try kept.allSatisfy { try answers($0) })
        #expect(try !answers(server.connect()))
        #expect(server.server.connectionsRefused == 1)
        let other = try RawConnection(port: server.port, from: 0x7F00_0009, owner: server)
        #expect(try answers(other))
        withExtendedLifetime(kept) {}
        kept.removeAll()
        #expect(eventually { server.server.openConnections == 1 })
        #expect(try answers(server.connect()))
    }

    @Test("Refusals are answered in the form the service gives them")
    func refusalForm() throws {
        let seen = Mutex<[String]>([])
        let service = HTTPService(
            respond: { _, _, reply in reply(Response(status: 200)) },
            refuse: { refusal, head in
                seen.withLock { $0.append("\(head.target) \(refusal.reason.rawValue)") }
                return Response(status: refusal.status, body: Array("{}".utf8))
            })
        let server = try ServerUnderTest(limits: Self.small(), service: service)
        let connection = try server.connect()
        try connection.send("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        #expect(try connection.readResponse().body == "{}")
        #expect(seen.withLock { $0 } == ["/v1/traces too_large"])
    }

    @Test("An answer that needs no body comes before it, and a short body does not cost the connection")
    func preempted() throws {
        let service = HTTPService(
            respond: { _, _, reply in reply(Response(status: 200)) },
            preempt: { $0.target == "/busy" ? Response(status: 503, headers: [("retry-after", "2")]) : nil })
        let server = try ServerUnderTest(service: service)
        let connection = try server.connect()
        try connection.send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        #expect(try connection.readResponse().status == 503)
        try connection.send(
            String(repeating: "x", count: 1_000) + "POST /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny")
        #expect(try connection.readResponse().status == 200)

        let large = try server.connect()
        try large.send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        let all = RawResponse.parse(try large.readToEnd())
        #expect(all.map(\.status) == [503])
        #expect(all.first?.headers["connection"] == "close")
    }
}
