import Endpoints
import Glibc
import Listeners
import Telemetry
import Testing

/// Bodies that come too slowly, beside good ones. The periods are shorter than those of the daemon; a good client of the
/// tests sends fifty times what is needed, so that it may stand still for nearly a period on a busy machine.
@Suite struct BodySpeedTests {
    private typealias H2 = HTTP2RawConnection

    private static var http: HTTPLimits {
        var limits = HTTPLimits()
        limits.sweepInterval = .milliseconds(10)
        limits.bodyBytesPerSecond = 10_000
        limits.bodySpeedPeriod = .seconds(1)
        return limits
    }

    private static var grpc: GRPCLimits {
        var limits = GRPCLimits()
        limits.bodyBytesPerSecond = 10_000
        limits.bodySpeedPeriod = .seconds(1)
        return limits
    }

    /// Sends `piece` every ten milliseconds until `isOver`, at most for a minute.
    private func trickle(_ connection: RawConnection, _ piece: [UInt8], until isOver: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try !isOver(), ContinuousClock.now < end {
            do { try connection.send(piece) } catch is SocketFailure { return }
            usleep(10_000)
        }
    }

    @Test(
        "A body that trickles gets 408 and is closed, while one that comes is taken",
        arguments: ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"])
    func trickles(framing: String) throws {
        let server = try ServerUnderTest(limits: Self.http)
        let (slow, good) = (try server.connect(), try server.connect())
        try slow.send("POST /slow HTTP/1.1\r\nHost: x\r\n\(framing)")
        try good.send("POST /good HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n")
        var left = 800_000
        try trickle(slow, Array((framing.hasPrefix("C") ? "x" : "1\r\nx\r\n").utf8)) {
            let count = min(left, 5_000)
            if count > 0 { try good.send([UInt8](repeating: 1, count: count)) }
            left -= count
            return left == 0
        }
        let answers = RawResponse.parse(try slow.readToEnd())
        #expect(answers.map(\.status) == [408] && answers.first?.headers["connection"] == "close")
        #expect(try good.readResponse().status == 200)
        #expect(server.server.bodyBytesInFlight == 0)
    }

    @Test("A fast beginning does not pay for a slow end")
    func stalls() throws {
        let server = try ServerUnderTest(limits: Self.http)
        let connection = try server.connect()
        try connection.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
        try connection.send([UInt8](repeating: 1, count: 1_000_000))
        #expect(try connection.readResponse().status == 408)
    }

    @Test("A body that was answered before it came and then trickles is closed without another answer")
    func dropped() throws {
        let service = HTTPService(
            respond: { _, _, reply in reply(Response(status: 200)) },
            preempt: { _ in Response(status: 503, headers: [("retry-after", "1")]) })
        let server = try ServerUnderTest(limits: Self.http, service: service)
        let connection = try server.connect()
        try connection.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        #expect(RawResponse.parse(try connection.readToEnd()).map(\.status) == [503])
    }

    @Test("A gRPC message that trickles gets DEADLINE_EXCEEDED and RST_STREAM; other calls of the connection go on")
    func gRPC() throws {
        let server = try GRPCServerUnderTest(Self.grpc)
        let connection = try server.connect()
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/slow")))
        try connection.send(H2.data, 0, 1, H2.message([], length: 10_000))
        try connection.call("/good", [1], on: 3)
        #expect(try connection.reply(3).status == "0")
        #expect(try connection.reply(1).status == "4")
        #expect(try connection.next(H2.reset)?.errorCode == 0)
        #expect(server.http.bodyBytesInFlight == 0)
        try connection.call("/next", [1], on: 5)
        #expect(try connection.reply(5).status == "0")
    }

    @Test("A message that waits behind another of its connection is not slow while that one comes")
    func gRPCBehindAnother() throws {
        // A short answer: nobody opens the client's window.
        let service = HTTPService(respond: { _, _, reply in reply(Response(status: 200)) })
        let server = try GRPCServerUnderTest(Self.grpc, service: service)
        let connection = try server.connect()
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/first")))
        try connection.send(H2.headers, 4, 3, H2.block(H2.call("/second")))
        let size = 600_000
        try connection.send(H2.data, 0, 1, H2.message([], length: size))
        var left = size
        try trickle(connection.raw, []) {
            let count = min(left, 5_000)
            left -= count
            try connection.send(H2.data, left == 0 ? 1 : 0, 1, [UInt8](repeating: 1, count: count))
            return left == 0
        }
        try connection.send(H2.data, 1, 3, H2.message([1]))
        let replies = try connection.replies([1, 3])
        #expect(replies[1]?.status == "0" && replies[3]?.status == "0")
    }
}
