import Endpoints
import Synchronization
import Telemetry
import Testing

/// What the pinning requests ask the store for, and what they answer.
@Suite struct PinningTests {
    private func send(
        _ method: String, _ target: String, _ answer: Result<Bool, PinRefusal> = .success(true)
    ) -> Response {
        let daemon = TestDaemon {
            $0.daemon.pin = { trace, _ in trace.low == 2 ? answer : .failure(.unknown) }
            $0.daemon.unpin = { trace, _ in trace.low == 2 ? answer : .success(false) }
            $0.daemon.pins = { _ in [PinFacts(traceID: TraceID(high: 0, low: 2), createdUnixNano: 1_000_000_000)] }
        }
        return daemon.send(Request(method: method, target: "/api/crest/v1/" + target))
    }

    private let id = "00000000000000000000000000000002"

    @Test func pinAndUnpin() {
        let pinned = send("POST", "traces/2/pin")
        #expect(pinned.status == 200 && pinned.text == #"{"traceID":"\#(id)","pinned":true,"changed":true}"#)
        #expect(send("POST", "traces/2/pin", .success(false)).text.contains(#""changed":false"#))
        #expect(send("DELETE", "traces/2/pin").text == #"{"traceID":"\#(id)","pinned":false,"changed":true}"#)
        #expect(send("DELETE", "traces/3/pin").text.contains(#""changed":false"#))
        #expect(send("POST", "traces/3/pin").status == 404)
        for bad in ["xyz", "0"] { #expect(send("POST", "traces/\(bad)/pin").status == 400) }
        #expect(send("GET", "traces/2/pin").status == 405)
    }

    @Test func list() {
        let reply = send("GET", "pins")
        #expect(reply.status == 200)
        #expect(reply.text == #"{"pins":[{"traceID":"\#(id)","pinned":"1970-01-01T00:00:01.000000000Z"}]}"#)
    }

    @Test func refusals() {
        let full = send("POST", "traces/2/pin", .failure(.full("as many as can be")))
        #expect(full.status == 429 && full.text.contains("as many as can be"))
        let busy = send("POST", "traces/2/pin", .failure(.busy("the disk is full")))
        #expect(busy.status == 503 && busy.headers.contains { $0.0 == "retry-after" })
        #expect(send("POST", "traces/2/pin", .failure(.failed("segment damaged"))).status == 500)
    }
}
