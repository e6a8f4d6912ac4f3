import Endpoints
import Synchronization
import Telemetry
import Testing

/// What the deleting requests ask the store for, and what they answer.
@Suite struct DeletionTests {
    /// Every request's ids in one list; the answer is always the same.
    private final class Door: Sendable {
        let asked = Mutex<[TraceID]>([])
        let answer: Result<Int, DeletionRefusal>?
        init(_ answer: Result<Int, DeletionRefusal>?) { self.answer = answer }

        func delete(_ traceIDs: [TraceID]) -> Result<Int, DeletionRefusal> {
            asked.withLock { $0 += traceIDs }
            return answer ?? .success(traceIDs.count)
        }
    }

    private func daemon(_ door: Door) -> TestDaemon {
        let daemon = TestDaemon { $0.daemon.delete = { traces, _ in door.delete(traces) } }
        daemon.store.add(shop)
        return daemon
    }

    private func delete(_ target: String, _ door: Door) -> Response {
        daemon(door).send(Request(method: "DELETE", target: "/api/crest/v1/traces" + target))
    }

    @Test func oneTrace() {
        let door = Door(nil)
        let reply = delete("/2", door)
        #expect(reply.status == 200 && reply.text == #"{"deleted":1,"more":false}"#)
        #expect(door.asked.withLock { $0 } == [TraceID(high: 0, low: 2)])
        #expect(delete("/2", Door(.success(0))).status == 404)
        for bad in ["/xyz", "/0"] { #expect(delete(bad, door).status == 400) }
        #expect(door.asked.withLock { $0.count } == 1)
    }

    @Test func byConditions() {
        let door = Door(nil)
        let reply = delete("?tag=sku:s2&service=web", door)
        #expect(reply.status == 200 && reply.text == #"{"deleted":1,"more":false}"#)
        #expect(door.asked.withLock { $0 } == [TraceID(high: 0, low: 2)])
        for bad in ["", "?", "?service=", "?limit=5&service=web", "?sort=time&service=web", "?service=web&colour=red"] {
            #expect(delete(bad, door).status == 400, "\(bad)")
        }
        #expect(door.asked.withLock { $0.count } == 1, "a request that is refused deletes nothing")
    }

    @Test func refusals() {
        let busy = delete("/2", Door(.failure(.busy("the disk is full"))))
        #expect(busy.status == 503 && busy.text.contains("the disk is full"))
        #expect(busy.headers.contains { $0.0 == "retry-after" })
        #expect(delete("/2", Door(.failure(.failed("segment damaged")))).status == 500)
    }
}
