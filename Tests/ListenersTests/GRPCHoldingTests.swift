import Endpoints
import Listeners
import Telemetry
import Testing

/// Refusals that are held back, because clients that come again at once would take all the time there is.
@Suite struct GRPCHoldingTests {
    private typealias H2 = HTTP2RawConnection

    private static let busy = HTTPService(
        respond: { request, _, reply in
            let isLate = request.target == "/late"
            reply(isLate ? Response(status: 429, headers: [("retry-after", "2")]) : Response(status: 200))
        },
        preempt: { $0.target == "/busy" ? Response(status: 503, headers: [("retry-after", "2")]) : nil })

    /// - Parameters:
    ///   - atOnce: refusals in a second that are told at once.
    ///   - hold: milliseconds; usually more than a test waits for anything.
    private func server(atOnce: Int = 0, hold: Int64 = 60_000) throws -> GRPCServerUnderTest {
        var limits = HTTPLimits()
        limits.refusalsAtOnce = atOnce
        limits.refusalHold = hold...hold
        return try GRPCServerUnderTest(http: limits, service: Self.busy)
    }

    @Test("When many are refused, the answers are held back, and come, while other calls of the connection go on")
    func heldBack() throws {
        let server = try server(hold: 1_500)
        let connection = try server.connect()
        let start = ContinuousClock.now
        let refused = (0..<6).map { UInt32(2 * $0 + 1) }
        for stream in refused { try connection.call(stream % 4 == 1 ? "/busy" : "/late", [1, 2], on: stream) }
        try connection.call("/ok", [3], on: 101)
        #expect(try connection.reply(101).status == "0")
        #expect(server.http.bodyBytesInFlight == 0)
        let replies = try connection.replies(refused)
        #expect(replies.count == 6 && replies.values.allSatisfy { $0.status == "14" || $0.status == "8" })
        #expect(replies.values.allSatisfy { $0.fields["grpc-status-details-bin"] != nil })
        #expect(ContinuousClock.now - start >= .milliseconds(1_400))
        #expect(server.server.counts.cancelled == 0)
    }

    @Test("Over HTTP and gRPC together only so many are told at once")
    func together() throws {
        let server = try server(atOnce: 3, hold: 1_500)
        let port = try server.http.bind(BindAddress(host: "127.0.0.1", port: 0), service: Self.busy).port
        let (http, connection) = (try RawConnection(port: port, owner: server), try server.connect())
        let start = ContinuousClock.now
        for _ in 0..<3 {
            try http.send("POST /busy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
            #expect(try http.readResponse().status == 503)
        }
        try connection.call("/busy", [1], on: 1)
        #expect(try connection.reply(1).status == "14")
        #expect(ContinuousClock.now - start >= .milliseconds(1_400))
    }

    @Test("A held call that the client takes back is gone at once, and so is that of a connection that ends")
    func takenBack() throws {
        let server = try server()
        let connection = try server.connect()
        for index in 0..<100 { try connection.call("/busy", [1], on: UInt32(2 * index + 1)) }
        for index in 0..<100 { try connection.send(H2.reset, 0, UInt32(2 * index + 1), H2.bigEndian(8)) }
        #expect(eventually { server.server.counts.cancelled == 100 })
        try connection.call("/ok", [3], on: 301)
        #expect(try connection.reply(301).status == "0")
        let gone = try server.raw()
        try gone.send(H2.preface + H2.frame(H2.headers, 5, 1, H2.block(H2.call("/busy"))))
        gone.finishSending()
        #expect(eventually { server.server.counts.cancelled == 101 })
    }

    @Test("Held calls take their connection's streams: beyond a hundred it is closed")
    func bounded() throws {
        let server = try server()
        let connection = try server.connect()
        do {
            for index in 0..<101 { try connection.call("/busy", [1], on: UInt32(2 * index + 1)) }
            while try connection.next() != nil {}
        } catch is SocketFailure {}
        #expect(eventually { server.closed(.streams) == 1 })
    }

    @Test("A held call's message takes no memory, and beyond a mebibyte of it the client is told to stop")
    func large() throws {
        let server = try server()
        let connection = try server.connect()
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/busy")))
        let piece = [UInt8](repeating: 1, count: 16 << 10)
        for index in 0...(1 << 20) / piece.count {
            try connection.send(H2.data, 0, 1, piece)
            if index % 16 == 15 {
                // No more than the window allows before the server has seen it; nothing after the last piece, because
                // the answer may come before the ping's.
                try connection.send(H2.ping, 0, 0, [UInt8](repeating: 1, count: 8))
                _ = try connection.next(H2.ping)
            }
            #expect(server.http.bodyBytesInFlight == 0)
        }
        #expect(try connection.reply(1).status == "14")
        #expect(try connection.next(H2.reset)?.errorCode == 0)
    }

    @Test("Who waits less than that is told before it gives up")
    func patience() throws {
        let connection = try server().connect()
        try connection.call("/busy", [1], on: 1, [("grpc-timeout", "400m")])
        #expect(try connection.reply(1).status == "14")
    }
}
