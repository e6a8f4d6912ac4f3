import Endpoints
import Listeners
import Synchronization
import Telemetry
import Testing

/// A gRPC server on a free port that is drained when the test ends.
final class GRPCServerUnderTest {
    let http: HTTPServer
    let server: GRPCServer
    let port: UInt16

    init(
        _ limits: GRPCLimits = GRPCLimits(), http httpLimits: HTTPLimits = HTTPLimits(), service: HTTPService = .echo
    ) throws {
        http = try HTTPServer(limits: httpLimits, loopThreads: 1, poolThreads: 1)
        server = try GRPCServer(beside: http, limits: limits)
        port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
    }

    deinit {
        server.drain(within: .seconds(2))
        http.drain(within: .seconds(2))
    }

    func raw() throws -> RawConnection { try RawConnection(port: port, owner: self) }
    func connect() throws -> HTTP2RawConnection { try HTTP2RawConnection(raw()) }
    func closed(_ kind: GRPCBreach) -> UInt64 { server.counts.closed.first { $0.kind == kind }?.count ?? 0 }
    func calls(_ code: UInt8) -> UInt64 { server.counts.calls.first { $0.code == code }?.count ?? 0 }
}

@Suite struct GRPCServerTests {
    private typealias H2 = HTTP2RawConnection

    @Test("A connection answers one call after the other, whatever answers them")
    func calls() throws {
        let server = try GRPCServerUnderTest()
        let connection = try server.connect()
        for (index, path) in ["/a.B/C", "/slow", "/later", "/d"].enumerated() {
            let stream = UInt32(2 * index + 1)
            try connection.call(path, Array("abc".utf8), on: stream)
            let reply = try connection.reply(stream)
            #expect(reply.fields[":status"] == "200" && reply.fields["content-type"] == "application/grpc")
            #expect(reply.status == "0")
            #expect(reply.body.prefix(5) == [0, 0, 0, 0, UInt8(reply.body.count - 5)])
            #expect(reply.text == "POST \(path) abc")
        }
        #expect(eventually { server.calls(0) == 4 && server.http.bodyBytesInFlight == 0 })
        #expect(server.server.counts.cancelled == 0)
    }

    @Test("Calls of one connection run beside each other")
    func concurrent() throws {
        let connection = try GRPCServerUnderTest().connect()
        let streams = (0..<90).map { UInt32(2 * $0 + 1) }
        for stream in streams {
            let path = stream % 3 == 0 ? "/slow" : stream % 3 == 1 ? "/later" : "/now"
            try connection.call(path, Array("\(stream)".utf8), on: stream)
        }
        let replies = try connection.replies(streams)
        #expect(streams.allSatisfy { replies[$0]?.text.hasSuffix(" \($0)") == true && replies[$0]?.status == "0" })
    }

    @Test("A message may come in any pieces")
    func pieces() throws {
        let connection = try GRPCServerUnderTest().connect()
        let bytes = H2.message(Array("message".utf8))
        for cut in 0...bytes.count {
            let stream = UInt32(2 * cut + 1)
            try connection.send(H2.headers, 4, stream, H2.block(H2.call("/x")))
            try connection.send(H2.data, 0, stream, Array(bytes[..<cut]))
            try connection.send(H2.data, 0, stream, Array(bytes[cut...]))
            try connection.send(H2.data, 1, stream)
            #expect(try connection.reply(stream).text == "POST /x message")
        }
    }

    @Test("The service gets the message, its encoding and the client's headers")
    func request() throws {
        let seen = Mutex<[Request]>([])
        let service = HTTPService(respond: { request, _, reply in
            seen.withLock { $0.append(request) }
            reply(Response(status: 200, headers: [("crest-seq", "7"), ("x", "y")]))
        })
        let connection = try GRPCServerUnderTest(service: service).connect()
        let fields = H2.call("/s/m", type: "application/grpc+proto", [("grpc-encoding", "gzip"), ("x-tenant", "t")])
        try connection.send(H2.headers, 4, 1, H2.block(fields))
        try connection.send(H2.data, 1, 1, H2.message([1, 2, 3], flag: 1))
        let reply = try connection.reply(1)
        #expect(reply.fields["crest-seq"] == "7" && reply.fields["x"] == nil && reply.body == [0, 0, 0, 0, 0])
        let request = try #require(seen.withLock { $0 }.first)
        #expect(request.target == "/s/m" && request.body == [1, 2, 3])
        #expect(request.header("content-type") == "application/x-protobuf")
        #expect(request.header("content-encoding") == "gzip" && request.header("x-tenant") == "t")
    }

    @Test("Calls that are not whole, too large or too slow, and what they are told")
    func refused() throws {
        var limits = GRPCLimits()
        limits.messageBytes = 1_000
        let large = [UInt8](repeating: 7, count: 1_001)
        let cases: [(what: String, body: [UInt8], ends: Bool, more: [(String, String)], status: String)] = [
            ("no message", [], true, [], "3"), ("cut", H2.message([1, 2], length: 3), true, [], "3"),
            ("two", H2.message([1]) + H2.message([2]), true, [], "3"),
            ("flag", H2.message([1], flag: 2), true, [], "3"),
            ("large", H2.message(large), true, [], "8"), ("announced", H2.message([], length: 1_001), false, [], "8"),
            ("slow", H2.message([1], length: 2), false, [("grpc-timeout", "50m")], "4"),
        ]
        let server = try GRPCServerUnderTest(limits)
        let connection = try server.connect()
        for (index, (what, body, ends, more, status)) in cases.enumerated() {
            let stream = UInt32(2 * index + 1)
            try connection.send(H2.headers, 4, stream, H2.block(H2.call("/x", more)))
            try connection.send(H2.data, ends ? 1 : 0, stream, body)
            let reply = try connection.reply(stream)
            #expect(reply.status == status, "\(what)")
            #expect(reply.fields["grpc-message"]?.isEmpty == false && reply.fields["grpc-status-details-bin"] == nil)
            #expect(reply.fields["grpc-accept-encoding"] == GRPCReply.acceptedEncodings)
            // Who has not sent all is told not to go on.
            if !ends { #expect(try connection.next(H2.reset)?.errorCode == 0) }
        }
        try connection.call("/x", large.dropLast(), on: 101)
        #expect(try connection.reply(101).status == "0")
        #expect(server.http.bodyBytesInFlight == 0)
        #expect(server.calls(3) == 4 && server.calls(8) == 2 && server.calls(4) == 1)
    }

    @Test("What is no gRPC call is refused in HTTP's terms")
    func notGRPC() throws {
        let connection = try GRPCServerUnderTest().connect()
        try connection.send(H2.headers, 5, 1, H2.block(H2.call("/x", method: "GET")))
        #expect(try connection.reply(1).fields[":status"] == "405")
        for (stream, type) in zip([3, 5, 7], ["application/json", "application/grpc+json", ""]) {
            try connection.send(H2.headers, 5, UInt32(stream), H2.block(H2.call("/x", type: type)))
            #expect(try connection.reply(UInt32(stream)).fields[":status"] == "415")
        }
    }

    @Test("Bodies share a budget; what is over it is told when to come again")
    func budget() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 1_500
        let server = try GRPCServerUnderTest(http: limits)
        let connection = try server.connect()
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/first")))
        try connection.send(H2.data, 0, 1, H2.message([], length: 1_000))
        try connection.call("/second", [UInt8](repeating: 1, count: 1_000), on: 3)
        let refused = try connection.reply(3)
        #expect(refused.status == "14" && refused.fields["grpc-status-details-bin"]?.isEmpty == false)
        try connection.send(H2.data, 1, 1, [UInt8](repeating: 2, count: 1_000))
        #expect(try connection.reply(1).status == "0")
        #expect(server.http.bodyBytesInFlight == 0)
    }

    @Test("An answer that needs no body comes before it")
    func preempted() throws {
        let service = HTTPService(
            respond: { _, _, reply in reply(Response(status: 200)) },
            preempt: { $0.target == "/busy" ? Response(status: 503, headers: [("retry-after", "2")]) : nil })
        let connection = try GRPCServerUnderTest(service: service).connect()
        try connection.send(H2.headers, 4, 1, H2.block(H2.call("/busy")))
        #expect(try connection.reply(1).status == "14")
        // What the client had sent before it knew does no harm.
        try connection.send(H2.data, 1, 1, H2.message([1]))
        try connection.call("/ok", [], on: 3)
        #expect(try connection.reply(3).status == "0")
    }

    @Test("A client that gives up cancels the work and leaves nothing behind")
    func cancelled() throws {
        let budgets = Mutex<[QueryBudget]>([])
        let service = HTTPService(respond: { _, budget, _ in budgets.withLock { $0.append(budget) } })
        let server = try GRPCServerUnderTest(service: service)
        let connection = try server.connect()
        try connection.call("/x", [1, 2, 3], on: 1)
        #expect(eventually { budgets.withLock { $0.count } == 1 })
        #expect(server.http.bodyBytesInFlight == 3)
        try connection.send(H2.reset, 0, 1, H2.bigEndian(8))
        #expect(eventually { server.server.counts.cancelled == 1 })
        #expect(server.http.bodyBytesInFlight == 0)
        #expect(throws: QueryStop.cancelled) { try budgets.withLock { $0[0] }.charge(1) }
    }

    @Test("A connection that ends anywhere leaves nothing behind")
    func cut() throws {
        let server = try GRPCServerUnderTest()
        let whole =
            H2.preface + H2.frame(H2.headers, 4, 1, H2.block(H2.call("/x")))
            + H2.frame(H2.data, 0, 1, H2.message([1, 2], length: 9))
        for length in stride(from: 0, through: whole.count, by: 3) {
            let raw = try server.raw()
            try raw.send(Array(whole[..<length]))
            raw.finishSending()
            while try !raw.receive().isEmpty {}
        }
        #expect(eventually { server.server.counts.open == 0 && server.http.bodyBytesInFlight == 0 })
    }

    @Test("A drain says goodbye, finishes the call in flight and accepts no more")
    func drain() throws {
        let replies = Mutex<[@Sendable (Response) -> Void]>([])
        let service = HTTPService(respond: { _, _, reply in replies.withLock { $0.append(reply) } })
        let server = try GRPCServerUnderTest(service: service)
        let connection = try server.connect()
        try connection.call("/x", [1], on: 1)
        #expect(eventually { replies.withLock { $0.count } == 1 })
        let done = Atomic<Int>(0)
        let grpc = server.server
        let thread = BackgroundThread {
            done.store(grpc.drain(within: .seconds(10)) ? 1 : 2, ordering: .sequentiallyConsistent)
        }
        let goodbye = try #require(try connection.next(H2.goAway))
        #expect(goodbye.errorCode == 0)
        let ping = try #require(try connection.next(H2.ping))
        try connection.send(H2.ping, 1, 0, ping.payload)
        #expect(throws: SocketFailure.self) { try server.raw() }
        #expect(done.load(ordering: .sequentiallyConsistent) == 0)
        for reply in replies.withLock({ $0 }) { reply(Response(status: 200, body: Array("late".utf8))) }
        #expect(try connection.reply(1).text == "late")
        thread.join()
        #expect(done.load(ordering: .sequentiallyConsistent) == 1)
    }

    @Test("A drain does not wait longer than it was told")
    func drainCuts() throws {
        let server = try GRPCServerUnderTest(service: HTTPService(respond: { _, _, _ in }))
        let connection = try server.connect()
        try connection.call("/x", [1], on: 1)
        #expect(eventually { server.http.bodyBytesInFlight == 1 })
        #expect(server.server.drain(within: .milliseconds(50)) == false)
        while try connection.next() != nil {}
    }
}
