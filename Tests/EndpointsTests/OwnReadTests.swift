import Endpoints
import Synchronization
import Telemetry
import Testing

private func filled() -> TestDaemon {
    let daemon = TestDaemon()
    daemon.store.add(shop)
    return daemon
}

private let firstSummary =
    #"{"traceID":"\#(firstID)","rootService":"web","rootName":"GET /buy","start":"2023-11-14T22:13:20.000000000Z","#
    + #""startUnixNano":"1700000000000000000","durationNanos":5000000,"spanCount":2,"errorCount":0,"#
    + #""weight":1,"services":[{"name":"Stock/1","spanCount":1,"errorCount":0},"#
    + #"{"name":"web","spanCount":1,"errorCount":0}]}"#

@Suite struct OwnReadTests {
    @Test("A summary, byte for byte")
    func summary() {
        #expect(
            filled().get("/api/crest/v1/search?service=Stock/1").text == #"{"traces":[\#(firstSummary)],"next":null}"#)
        #expect(TestDaemon().get("/api/crest/v1/search").text == #"{"traces":[],"next":null}"#)
    }

    @Test("Explain says what was read, and is there only when asked for")
    func explain() {
        let text = filled().get("/api/crest/v1/search?service=web&explain=1").text
        #expect(text.contains(#""explain":{"traces":{"listed":2,"standFor":2},"parts":{"total":1,"#))
        #expect(text.contains(#""searched":1,"outsideOfTime":0,"withoutNames":0,"#))
        #expect(text.contains(#""stages":[{"name":"search","nanoseconds":"#))
        #expect(!filled().get("/api/crest/v1/search?service=web").text.contains("explain"))
        #expect(filled().get("/api/crest/v1/search?explain=maybe").status == 400)
    }

    @Test(
        "Search",
        arguments: [
            ("", 2), ("service=web", 2), ("operation=deduct", 1), ("kind=server", 2), ("kind=client", 0),
            ("tag=sku:s1", 1), ("tag=sku:s1&tag=error:true", 0), ("min_duration=2ms", 1), ("max_duration=1ms", 2),
            ("error=true", 1), ("error=false", 1), ("start=1700000000.5", -1), ("start=1700000001", 1),
            ("end=2023-11-14T22:13:20.5Z", 1), ("end=2023-11-15T06:13:20.5+08:00", 1), ("limit=1", 1),
            ("start=2023-11-14T22:13:21Z&end=1700000001000000000", 1),
        ])
    func search(query: String, count: Int) {
        let response = filled().get("/api/crest/v1/search?\(query)")
        guard count >= 0 else {
            #expect(response.status == 400)
            return
        }
        #expect(response.status == 200)
        #expect(response.text.components(of: #"{"traceID":"#).count - 1 == count, "\(response.text)")
    }

    @Test("Pages: the token leads on, fits only its own search, and its order")
    func pages() throws {
        let daemon = filled()
        for (sort, wanted) in [("time", ["0002", "0001"]), ("duration", ["0001", "0002"])] {
            let first = daemon.get("/api/crest/v1/search?service=web&limit=1&sort=\(sort)").text
            let token = try #require(first.components(of: #""next":""#).last?.dropLast(2))
            let second = daemon.get("/api/crest/v1/search?service=web&limit=1&sort=\(sort)&page=\(token)").text
            for (page, id) in zip([first, second], wanted) { #expect(page.contains(id + #"","rootService""#)) }
            #expect(second.hasSuffix(#""next":null}"#))
            for other in ["service=other&sort=\(sort)", "service=web&sort=\(sort == "time" ? "duration" : "time")"] {
                let refused = daemon.get("/api/crest/v1/search?\(other)&page=\(token)")
                #expect(refused.status == 400 && refused.text.contains(#""parameter":"page""#))
            }
        }
    }

    @Test(
        "Parameter errors name the parameter",
        arguments: [
            "limit=0", "limit=x", "limit=10001", "sort=size", "min_duration=1parsec", "max_duration=-1s", "start=noon",
            "end=2023-13-01T00:00:00Z", "page=zzz", "tag=novalue", "tag=:x", "error=maybe", "kind=big", "q={}",
            "servce=a",
            "start=-1", "end=99999999999999999999",
        ])
    func parameters(query: String) {
        let daemon = filled()
        let response = daemon.get("/api/crest/v1/search?\(query)")
        #expect(response.status == 400)
        #expect(response.text.hasPrefix(#"{"error":{"status":400,"message":""#))
        let name = query.split(separator: "=")[0]
        #expect(response.text.hasSuffix(#""parameter":"\#(name)"}}"#), "\(response.text)")
        #expect(daemon.rejected(.parameter) == 1)
    }

    @Test("Bounds the wrong way round are refused")
    func bounds() {
        let daemon = filled()
        #expect(daemon.get("/api/crest/v1/search?start=2&end=1").text.contains(#""parameter":"end""#))
        #expect(daemon.get("/api/crest/v1/search?min_duration=2s&max_duration=1s").text.contains("max_duration"))
    }

    @Test("A trace: summary members, then OTLP")
    func trace() {
        let daemon = filled()
        let text = daemon.get("/api/crest/v1/traces/A0000000000000001").text
        #expect(text.hasPrefix(firstSummary.dropLast() + #","cutSpanCount":0,"resourceSpans":[{"resource":"#))
        #expect(text.contains(#""spanId":"0000000000000002","parentSpanId":"0000000000000001""#))
        #expect(text.hasSuffix("]}"))
        #expect(daemon.get("/api/crest/v1/traces/2").text.hasPrefix(#"{"traceID":"00000000000000000000000000000002""#))
        let missing = daemon.get("/api/crest/v1/traces/1234")
        #expect(missing.status == 404)
        #expect(missing.text == #"{"error":{"status":404,"message":"no trace 00000000000000000000000000001234"}}"#)
        for bad in ["xyz", "0", String(repeating: "1", count: 33)] {
            #expect(daemon.get("/api/crest/v1/traces/\(bad)").status == 400)
        }
    }

    @Test("Services, operations, durable, status")
    func others() {
        let daemon = filled()
        #expect(daemon.get("/api/crest/v1/services").text == #"{"services":["Stock/1","web"]}"#)
        #expect(
            daemon.get("/api/crest/v1/operations?service=web").text
                == #"{"operations":[{"name":"GET /buy","kind":"server"}]}"#)
        #expect(daemon.get("/api/crest/v1/operations").text.contains("deduct"))
        #expect(
            daemon.get("/api/crest/v1/durable?seq=0").text
                == #"{"durable":true,"sequence":0,"durability":"synced"}"#)
        #expect(daemon.get("/api/crest/v1/durable?seq=1").text.hasPrefix(#"{"durable":false"#))
        #expect(daemon.get("/api/crest/v1/durable?seq=x").status == 400)
        #expect(daemon.get("/api/crest/v1/status").text.hasPrefix(#"{"version":"","ready":true"#))
    }

    @Test("The ledger tells when the books are wrong")
    func ledger() {
        let daemon = TestDaemon()
        #expect(
            daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true,"spans":{"received":0,"stored":0"#))
        daemon.ledger.spansReceived.add(3, ordering: .relaxed)
        let lost = daemon.get("/api/crest/v1/ledger").text
        #expect(lost.hasPrefix(#"{"balanced":false"#) && lost.contains(#""difference":3"#))
        daemon.ledger.spansRejected.add(2, .malformed)
        daemon.ledger.spansInFlight.add(1, ordering: .relaxed)
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#))
        daemon.ledger.linesSeen.add(1, ordering: .relaxed)
        #expect(daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":false"#))
    }

    @Test(
        "A store that cannot be read is told in each dialect",
        arguments: [
            (ReadError.storage("pread segment 7: EIO"), 500), (.stopped(.deadline), 504),
            (.stopped(.bytes(limit: 5)), 422),
        ])
    func failures(failure: ReadError, status: Int) {
        let daemon = filled()
        daemon.store.readFailure = failure
        for target in [
            "/api/crest/v1/search", "/api/crest/v1/traces/2", "/api/traces/2", "/api/traces?service=web",
            "/api/v2/trace/2", "/api/v2/traces", "/api/traces?traceID=2", "/api/v2/traceMany?traceIds=1,2",
        ] {
            let response = daemon.get(target)
            #expect(response.status == status && !response.body.isEmpty, "\(target)")
        }
        // A graph that ran out of budget is given as far as it got.
        let graph = daemon.get("/api/dependencies")
        #expect(status == 500 ? graph.status == 500 : graph.header("crest-partial") != nil)
    }
}
