import Endpoints
import Synchronization
import Telemetry
import Testing

@Suite struct RouterTests {
    @Test(
        "Every listener serves its own paths and no others",
        arguments: [
            ("GET", "/-/ready", [.http]), ("GET", "/api/services", [.http]), ("GET", "/metrics", [.http]),
            ("POST", "/v1/traces", [.http, .otlpHTTP]), ("POST", "/api/v2/spans", [.http, .zipkin]),
            ("GET", "/zipkin/api/v2/services", [.http, .zipkin]), ("GET", "/health", [.http, .zipkin]),
            ("GET", "/api/crest/v1/ledger", [.http]), ("GET", "/", [.http]),
        ] as [(String, String, Set<ListenerRole>)])
    func roles(method: String, target: String, roles: Set<ListenerRole>) {
        let daemon = TestDaemon()
        for listener in ListenerRole.allCases {
            let head = Request(method: method, target: target)
            let refusal = daemon.router.refusal(beforeBodyOf: head, listener: listener)
            #expect((refusal == nil) == roles.contains(listener), "\(listener)")
            #expect(refusal == nil || refusal?.status == 404)
        }
    }

    @Test("Reads go to the pool, ingest and admin stay on the event loop")
    func work() {
        let router = TestDaemon().router
        func work(_ method: String, _ target: String) -> Work {
            router.work(for: Request(method: method, target: target), listener: .http)
        }
        #expect(work("POST", "/v1/traces") == .inline)
        #expect(work("POST", "/api/v2/spans") == .inline)
        #expect(work("GET", "/-/ready") == .inline)
        #expect(work("GET", "/nowhere") == .inline)
        #expect(work("GET", "/api/traces/1?x=y") == .pool)
        #expect(work("GET", "/api/services/a%2Fb/operations") == .pool)
        #expect(work("GET", "/api/crest/v1/search?service=a") == .pool)
        #expect(work("GET", "/metrics") == .pool)
    }

    @Test("A wrong method is told what is allowed, in the form of the path's API")
    func methods() {
        let daemon = TestDaemon()
        let otlp = daemon.get("/v1/traces")
        #expect(otlp.status == 405 && otlp.text == "405 method not allowed, supported: [POST]\n")
        #expect(otlp.header("allow") == "POST")
        let jaeger = daemon.send(Request(method: "DELETE", target: "/api/services"))
        #expect(jaeger.status == 405 && jaeger.header("allow") == "GET, HEAD")
        let both = daemon.send(Request(method: "PUT", target: "/api/traces"))
        #expect(both.status == 405 && both.header("allow") == "POST, GET, HEAD")
        let own = daemon.send(Request(method: "POST", target: "/api/crest/v1/search"))
        #expect(own.status == 405)
        #expect(own.text.hasPrefix(#"{"error":{"status":405,"message":"method POST is not allowed here"#))
        #expect(daemon.send(Request(method: "TRACE", target: "/api/v2/spans")).status == 405)
        #expect(daemon.rejected(.method) == 5)
    }

    @Test(
        "Unknown paths, strange ones too, are 404 and counted",
        arguments: [
            "/api/nothing", "/api/traces/", "/api/traces/a/b", "", "*", "//", "/api//services", "/api/services/",
            "/%zz", "/api/traces/%ff", "/v1/traces/", "/api/crest/v1/nothing", "http://x/", "/API/services",
        ])
    func unknown(target: String) {
        let daemon = TestDaemon()
        let response = daemon.get(target)
        #expect(response.status == 404 && !response.body.isEmpty)
        #expect(daemon.rejected(.notFound) == 1)
    }

    @Test("Segments are decoded after the path is split")
    func encodedSlash() {
        let daemon = TestDaemon()
        daemon.store.add(shop)
        #expect(daemon.get("/api/services/Stock%2F1/operations").text.contains(#""data":["deduct"]"#))
        #expect(daemon.get("/api/services/Stock/1/operations").status == 404)
        #expect(daemon.get("/api/%73ervices").status == 200)
        #expect(daemon.get("/api%2Fservices").status == 404)
    }

    @Test("HEAD is GET without the body")
    func head() {
        let daemon = TestDaemon()
        let get = daemon.get("/-/healthy")
        let head = daemon.send(Request(method: "HEAD", target: "/-/healthy"))
        #expect(head.status == 200 && head.body.isEmpty)
        #expect(head.header("content-length") == String(get.body.count))
        #expect(daemon.send(Request(method: "HEAD", target: "/v1/traces")).status == 405)
    }

    @Test("Overload is told before the body is read, to writers of spans only")
    func overload() {
        let daemon = TestDaemon { $0.daemon.overload = { .busy(retryAfter: 99) } }
        let otlp = Request(method: "POST", target: "/v1/traces", headers: [("content-type", "application/json")])
        let refusal = daemon.router.refusal(beforeBodyOf: otlp, listener: .http)
        #expect(refusal?.status == 503 && refusal?.header("retry-after") == "30")
        #expect(refusal?.text.hasPrefix(#"{"code":14,"message":"overloaded"#) == true)
        let zipkin = Request(method: "POST", target: "/api/v2/spans")
        #expect(daemon.router.refusal(beforeBodyOf: zipkin, listener: .zipkin)?.status == 503)
        let read = Request(method: "GET", target: "/api/services")
        #expect(daemon.router.refusal(beforeBodyOf: read, listener: .http) == nil)
        #expect(daemon.rejected(.busy) == 2)
        #expect(daemon.ledger.requestsReceived.load(ordering: .relaxed) == 2)
    }

    @Test("A body that is too large gets its API's 413")
    func tooLarge() {
        let daemon = TestDaemon()
        let json = Request(method: "POST", target: "/v1/traces", headers: [("content-type", "application/json")])
        #expect(daemon.router.tooLarge(json, listener: .http).text.hasPrefix(#"{"code":8,"#))
        let zipkin = daemon.router.tooLarge(Request(method: "POST", target: "/api/v2/spans"), listener: .zipkin)
        #expect(zipkin.status == 413 && zipkin.text == "the body is larger than 67108864 bytes\n")
        #expect(daemon.rejected(.tooLarge) == 2)
    }

    @Test("A query string that cannot be decoded is refused with its place")
    func badQuery() {
        let daemon = TestDaemon()
        let own = daemon.get("/api/crest/v1/search?service=a&tag=%4")
        #expect(own.status == 400 && own.text.contains("query string at offset 10"))
        let jaeger = daemon.get("/api/traces?service=%ff")
        #expect(jaeger.status == 400 && jaeger.text.contains(#""data":null"#))
    }

    @Test("Admin paths")
    func admin() {
        let ready = TestDaemon()
        #expect(ready.get("/-/ready").status == 200)
        #expect(ready.get("/-/healthy").status == 200)
        #expect(ready.get("/").text.contains("/api/crest/v1/"))
        #expect(ready.send(Request(method: "POST", target: "/-/reload")).status == 500)
        #expect(ready.get("/-/reload").status == 405)
        let starting = TestDaemon {
            $0.daemon.isReady = { false }
            $0.daemon.reload = { nil }
        }
        #expect(starting.get("/-/ready").status == 503)
        #expect(starting.get("/-/healthy").status == 200)
        #expect(starting.get("/health").status == 503)
        #expect(starting.send(Request(method: "POST", target: "/-/reload")).text == "reloaded\n")
        let full = TestDaemon { $0.daemon.readOnlyReason = { "the disk is full" } }
        #expect(full.get("/-/ready").status == 503 && full.get("/-/ready").text == "read-only: the disk is full\n")
        #expect(full.get("/-/healthy").status == 200 && full.get("/api/services").status == 200)
    }

    @Test("Metrics paths reach the metrics side, with the body inflated")
    func metrics() {
        let daemon = TestDaemon {
            $0.metrics = MetricsHandlers(
                statsD: { Response(status: 202, body: $0.body + "|\($0.header("content-encoding") ?? "plain")".bytes) },
                scrape: { Response(status: 200, body: ($0.header("accept") ?? "").bytes) },
                series: { Response(status: 200, body: $0.target.bytes) })
        }
        #expect(daemon.post("/api/v1/statsd", "a:1|c".bytes).text == "a:1|c|plain")
        #expect(daemon.get("/api/crest/v1/series?name=a").text == "/api/crest/v1/series?name=a")
        let scrape = Request(method: "GET", target: "/metrics", headers: [("accept", "x/y")])
        #expect(daemon.send(scrape).text == "x/y")
        #expect(daemon.post("/api/v1/statsd", "x".bytes, encoding: "gzip").status == 400)
        #expect(TestDaemon().get("/metrics").status == 404)
    }

    @Test("Every cut and every changed byte of a target gets exactly one answer below 500, or an honest 501")
    func anyTarget() {
        let daemon = TestDaemon()
        daemon.store.add(shop)
        let targets = [
            "/api/services/a%2Fb/operations?prettyPrint=true", "/api/traces?service=web&tags=%7B%22a%22%3A%22b%22%7D",
            "/api/crest/v1/search?service=web&min_duration=1.5ms&start=2023-11-14T22:13:20.5Z&limit=5&sort=time",
            "/zipkin/api/v2/traces?annotationQuery=a%3Db+and+c&endTs=1700000000000&lookback=5&minDuration=1",
            "/api/v2/traceMany?traceIds=1,2", "/api/crest/v1/durable?seq=12", "/api/dependencies?endTs=1&lookback=1",
        ]
        for target in targets {
            let bytes = Array(target.utf8)
            for index in bytes.indices {
                var variants = [Array(bytes.prefix(index))]
                for byte in ["%", "+", "/", "?", "&", "=", "9", "-", "\u{7f}"] {
                    var changed = bytes
                    changed[index] = Array(byte.utf8)[0]
                    variants.append(changed)
                }
                for variant in variants {
                    let text = String(decoding: variant, as: UTF8.self)
                    let status = daemon.get(text).status
                    #expect((200..<500).contains(status), "\(text): \(status)")
                }
            }
        }
    }
}
