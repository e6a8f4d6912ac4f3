import Endpoints
import Glibc
import Listeners
import Synchronization
import Telemetry
import Testing

@Suite struct TenantPoolTests {
    @Test("Behind a hundred requests of one tenant that wait for a thread, another's waits for one of them")
    func turns() throws {
        let budget = MemoryBudget(limitBytes: 1 << 30, requestBytes: 1 << 30)
        let control = AdmissionControl(budget: budget)
        let server = try HTTPServer(budget: budget, loopThreads: 1, poolThreads: 1)
        defer { server.drain(within: .seconds(5)) }
        let isOpen = Atomic<Bool>(false)
        let handed = Atomic<Int>(0)
        let order = Mutex<[String]>([])
        let service = HTTPService(
            respond: { request, _, reply in
                while !isOpen.load(ordering: .acquiring) { usleep(500) }
                order.withLock { $0.append(request.header("tenant") ?? "") }
                reply(Response(status: 200))
            },
            preempt: { head in
                let tenant = head.header("tenant") ?? ""
                return control.admit(&head, tenant: tenant, source: nil).map { Response(status: $0.status) }
            },
            lane: { _ in
                handed.add(1, ordering: .relaxed)
                return .pool
            })
        let port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
        let body = String(repeating: "x", count: 200 << 10)
        func send(_ tenant: String) throws -> RawConnection {
            let connection = try RawConnection(port: port)
            let before = handed.load(ordering: .relaxed)
            let head = "POST /x HTTP/1.1\r\nHost: x\r\nTenant: \(tenant)\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            try connection.send(head + body)
            #expect(eventually { handed.load(ordering: .relaxed) > before })
            return connection
        }
        var connections = try (0..<20).map { _ in try send("loud") }
        connections.append(try send("quiet"))
        isOpen.store(true, ordering: .releasing)
        for connection in connections { #expect(try connection.readResponse().status == 200) }
        let place = order.withLock { $0.firstIndex(of: "quiet") }
        // The first has the thread, the second may have its turn.
        #expect(place.map { $0 <= 3 } == true, "\(order.withLock { $0 })")
    }
}
