import Endpoints
import Listeners
import Synchronization
import Testing

@Suite struct HTTPDrainTests {
    @Test("A drain closes idle connections, finishes the request in flight and accepts no more")
    func finishesInFlight() throws {
        let replies = Mutex<[@Sendable (Response) -> Void]>([])
        let service = HTTPService(respond: { _, _, reply in replies.withLock { $0.append(reply) } })
        let server = try HTTPServer(loopThreads: 2, poolThreads: 1)
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let idle = try RawConnection(port: port)
        let busy = try RawConnection(port: port)
        try busy.send("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(eventually { replies.withLock { $0.count } == 1 && server.openConnections == 2 })

        let done = Atomic<Int>(0)
        let drain = BackgroundThread {
            done.store(server.drain(within: .seconds(10)) ? 1 : 2, ordering: .sequentiallyConsistent)
        }
        #expect(try idle.readToEnd() == "")
        #expect(throws: SocketFailure.self) { try RawConnection(port: port) }
        #expect(done.load(ordering: .sequentiallyConsistent) == 0)
        for reply in replies.withLock({ $0 }) { reply(Response(status: 200, body: Array("late".utf8))) }
        let response = try busy.readResponse()
        #expect(response.body == "late")
        #expect(response.headers["connection"] == "close")
        drain.join()
        #expect(done.load(ordering: .sequentiallyConsistent) == 1)
    }

    @Test("A drain does not wait longer than it was told")
    func cutsWhatHangs() throws {
        let seen = Mutex(0)
        let service = HTTPService(respond: { _, _, _ in seen.withLock { $0 += 1 } })
        let server = try HTTPServer(loopThreads: 1, poolThreads: 1)
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let connection = try RawConnection(port: port)
        try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(eventually { seen.withLock { $0 } == 1 })
        #expect(server.drain(within: .milliseconds(50)) == false)
        #expect(try connection.readToEnd() == "")
    }
}
