import Endpoints
import Listeners
import Testing

/// What HTTP/2 lets a hostile client do: each is answered with GOAWAY, a closed connection and a count, and others
/// are served on.
@Suite struct GRPCAbuseTests {
    private typealias H2 = HTTP2RawConnection
    private static let calm: UInt32 = 11

    /// - Parameter codes: of the GOAWAY; nil: none is asked for.
    private func expect(
        _ kind: GRPCBreach, codes: Set<UInt32>?, limits: GRPCLimits = GRPCLimits(),
        _ attack: (HTTP2RawConnection) throws -> Void
    ) throws {
        let server = try GRPCServerUnderTest(limits)
        let connection = try server.connect()
        let start = ContinuousClock.now
        // The server may close before all is sent.
        do { try attack(connection) } catch is SocketFailure {}
        if let codes {
            let goodbye = try #require(try connection.next(H2.goAway), "\(kind)")
            #expect(codes.contains(goodbye.errorCode), "\(kind): \(goodbye.errorCode)")
        }
        do { while try connection.next() != nil {} } catch is SocketFailure {}
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(server.closed(kind) == 1, "\(server.server.counts.closed.filter { $0.count > 0 })")
        let other = try server.connect()
        try other.call("/x", [1], on: 1)
        #expect(try other.reply(1).status == "0")
        #expect(eventually { server.http.bodyBytesInFlight == 0 })
    }

    @Test("Rapid reset: streams opened and reset")
    func rapidReset() throws {
        var limits = GRPCLimits()
        limits.resets = 20
        try expect(.resets, codes: [Self.calm], limits: limits) { connection in
            for index in 0..<200 {
                let stream = UInt32(2 * index + 1)
                try connection.send(H2.headers, 4, stream, H2.block(H2.call("/slow")))
                try connection.send(H2.reset, 0, stream, H2.bigEndian(8))
            }
        }
    }

    @Test("Calls taken back on one connection after the other: the address gets no more of them")
    func rapidResetOnManyConnections() throws {
        var limits = GRPCLimits()
        limits.wastedCalls = 30
        let server = try GRPCServerUnderTest(limits)
        var refused = false
        for _ in 0..<10 where !refused {
            let connection = try server.connect()
            do {
                for index in 0..<10 {
                    let stream = UInt32(2 * index + 1)
                    try connection.send(H2.headers, 4, stream, H2.block(H2.call("/slow")))
                    try connection.send(H2.reset, 0, stream, H2.bigEndian(8))
                }
                try connection.send(H2.ping, 0, 0, [UInt8](repeating: 1, count: 8))
                refused = try connection.next(H2.ping) == nil
            } catch is SocketFailure { refused = true }
        }
        #expect(refused)
        #expect(server.closed(.resets) == 1)
        #expect(try server.raw().receive() == [])
        #expect(eventually { server.server.counts.refused >= 1 })
    }

    @Test("A flood of PING and SETTINGS", arguments: [HTTP2RawConnection.ping, HTTP2RawConnection.settings])
    func controlFrames(kind: UInt8) throws {
        var limits = GRPCLimits()
        limits.controlFrames = 50
        try expect(.controlFrames, codes: [Self.calm], limits: limits) { connection in
            let payload = kind == H2.ping ? [UInt8](repeating: 1, count: 8) : []
            for _ in 0..<500 { try connection.send(kind, 0, 0, payload) }
        }
    }

    @Test("Headers without an end")
    func continuations() throws {
        try expect(.continuations, codes: [Self.calm]) { connection in
            try connection.send(H2.headers, 0, 1, H2.block(H2.call("/x")))
            for index in 0..<50 { try connection.send(H2.continuation, 0, 1, H2.block([("a\(index)", "b")])) }
        }
    }

    @Test("Headers beyond the limit: in bytes, and by repetition from the table")
    func headerBytes() throws {
        try expect(.headerBytes, codes: [1]) { connection in
            let large = String(repeating: "x", count: 15_000)
            try connection.send(H2.headers, 0, 1, H2.block(H2.call("/x", [("a", large)])))
            try connection.send(H2.continuation, 4, 1, H2.block([("b", large)]))
        }
        // One entry of 4 KB in the table, named 4,000 times: 16 MB of headers in 4 KB of bytes.
        let value = String(repeating: "y", count: 3_900)
        let entry = [0x40] + H2.block([("bomb", value)]).dropFirst()
        try expect(.malformed, codes: [9]) { connection in
            let block = H2.block(H2.call("/x")) + entry + [UInt8](repeating: 0x80 | 62, count: 4_000)
            try connection.send(H2.headers, 4, 1, block)
        }
    }

    @Test("DATA frames without data")
    func emptyFrames() throws {
        try expect(.emptyFrames, codes: [Self.calm]) { connection in
            try connection.send(H2.headers, 4, 1, H2.block(H2.call("/x")))
            for _ in 0..<200 { try connection.send(H2.data, 0, 1) }
        }
    }

    @Test("Frames that HTTP/2 does not allow")
    func malformed() throws {
        // DATA on stream 0; a frame over the limit; a reset of a stream that never was; an even stream.
        try expect(.malformed, codes: [1]) { try $0.send(H2.data, 0, 0, [1]) }
        try expect(.malformed, codes: [1, 6]) { try $0.send(H2.ping, 0, 0, [1]) }
        try expect(.malformed, codes: [1, 6]) {
            try $0.send(H2.data, 0, 1, [UInt8](repeating: 0, count: 70_000))
        }
        try expect(.malformed, codes: [1, 5]) { try $0.send(H2.reset, 0, 9, H2.bigEndian(8)) }
        try expect(.malformed, codes: [1]) { try $0.send(H2.headers, 4, 2, H2.block(H2.call("/x"))) }
        try expect(.malformed, codes: [1, 9]) { try $0.send(H2.headers, 4, 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]) }
    }

    @Test("Other protocols are closed", arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{16}\u{3}\u{1}hello TLS"])
    func otherProtocols(text: String) throws {
        let server = try GRPCServerUnderTest()
        let raw = try server.raw()
        try raw.send(text + String(repeating: " ", count: 30))
        while try !raw.receive().isEmpty {}
        #expect(server.closed(.malformed) == 1)
    }

    @Test("Calls beyond the limit of a connection")
    func streams() throws {
        var limits = GRPCLimits()
        limits.streams = 2
        try expect(.streams, codes: [1, 7], limits: limits) { connection in
            try connection.send(H2.settings, 1, 0)
            for stream: UInt32 in [1, 3, 5] { try connection.send(H2.headers, 4, stream, H2.block(H2.call("/x"))) }
        }
        // Who has not said that it knows a limit is held to a hundred.
        try expect(.streams, codes: [1, 7]) { connection in
            for index in 0..<101 {
                try connection.send(H2.headers, 4, UInt32(2 * index + 1), H2.block(H2.call("/x")))
            }
        }
    }

    @Test("Connections over the limit are closed at once, and counted")
    func connections() throws {
        var limits = GRPCLimits()
        limits.connections = 2
        let server = try GRPCServerUnderTest(limits)
        let kept = try [server.connect(), server.connect()]
        for connection in kept {
            try connection.call("/x", [1], on: 1)
            #expect(try connection.reply(1).status == "0")
        }
        let surplus = try server.raw()
        #expect(try surplus.receive() == [])
        withExtendedLifetime(kept) { #expect(server.server.counts.refused == 1) }
    }

    @Test("A client whose window takes no answer is closed")
    func unread() throws {
        var limits = GRPCLimits()
        limits.writeTimeout = .milliseconds(200)
        limits.sweepInterval = .milliseconds(10)
        let large = HTTPService(respond: { _, _, reply in
            reply(Response(status: 200, body: [UInt8](repeating: 1, count: 100_000)))
        })
        let byWindow = try GRPCServerUnderTest(limits, service: large)
        let connection = try byWindow.connect()
        try connection.call("/x", [1], on: 1)
        while try connection.next() != nil {}
        #expect(byWindow.closed(.unread) == 1)
    }

    @Test("An idle client is told to go; one that never calls, or ignores the goodbye, is closed")
    func silent() throws {
        var limits = GRPCLimits()
        limits.idleTimeout = .milliseconds(50)
        limits.firstCallTimeout = .milliseconds(100)
        limits.graceTimeout = .milliseconds(100)
        limits.sweepInterval = .milliseconds(10)
        let server = try GRPCServerUnderTest(limits)
        let mute = try server.raw()
        while try !mute.receive().isEmpty {}
        #expect(server.closed(.silent) == 1)
        let polite = try server.connect()
        try polite.call("/x", [1], on: 1)
        #expect(try polite.reply(1).status == "0")
        #expect(try polite.next(H2.goAway)?.errorCode == 0)
        let ping = try #require(try polite.next(H2.ping))
        try polite.send(H2.ping, 1, 0, ping.payload)
        while try polite.next() != nil {}
        #expect(server.closed(.silent) == 1)
        let rude = try server.connect()
        try rude.call("/x", [1], on: 1)
        while try rude.next() != nil {}
        #expect(server.closed(.silent) == 2)
    }
}
