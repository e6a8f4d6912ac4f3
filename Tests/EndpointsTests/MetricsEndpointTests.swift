import Bytes
import Endpoints
import Synchronization
import Telemetry
import Testing

@Suite("Metrics endpoints")
struct MetricsEndpointTests {
    private let ledger = Ledger()
    private let service: MetricsService

    init() {
        service = MetricsService(ledger: ledger, now: { 1_790_000_000_000_000_000 })
    }

    private func post(_ body: String) -> String {
        let request = Request(method: "POST", target: "/api/v1/statsd", body: Array(body.utf8))
        let response = service.handlers.statsD(request)
        #expect(response.status == 202)
        return String(decoding: response.body, as: UTF8.self)
    }

    private func get(_ target: String, _ headers: [(name: String, value: String)] = []) -> Response {
        let request = Request(method: "GET", target: target, headers: headers)
        return target.hasPrefix("/metrics") ? service.handlers.scrape(request) : service.handlers.series(request)
    }

    private func scrape(_ headers: [(name: String, value: String)] = []) -> [Substring] {
        String(decoding: get("/metrics", headers).body, as: UTF8.self).split(separator: "\n")
    }

    @Test("Lines over HTTP are in the next scrape, and the answer says what became of each")
    func post() {
        let answer = post("order.count:1|c|#region:eu\norder.count:2|c|#region:eu\nbad\nt:12|ms\nx:1|q\nalso bad\n")
        #expect(answer == #"{"accepted":3,"rejected":{"no_colon":2,"bad_type":1}}"#)
        let lines = scrape()
        #expect(lines.contains(#"order_count_total{region="eu"} 3"#))
        #expect(lines.contains(#"t_seconds_bucket{le="0.01"} 0"#))
        #expect(lines.contains(#"t_seconds_bucket{le="0.025"} 1"#))
        #expect(lines.contains("t_seconds_sum 0.012"))
        #expect(lines.contains("crest_lines_seen_total 6"))
        #expect(lines.contains("crest_lines_applied_total 3"))
        #expect(lines.contains(#"crest_lines_rejected_total{reason="no_colon"} 2"#))
        #expect(post("") == #"{"accepted":0,"rejected":{}}"#)
        #expect(ledger.linesSeen.load(ordering: .relaxed) == 6)
    }

    @Test("Datagrams are counted a tick at a time and balance")
    func receiver() {
        let receiver = service.makeReceiver()
        let datagrams = [
            "a:1|c\nb:2|g|#x:y\n", "broken\nc:3|h\r\n", "_e{1,1}:a|b\n_sc|x|0", "",
            "u:x|s|@0.5\nd,\u{ff}=:1|c\ne:1|c|#:v",
            "a:1|c:5|g:7|ms:x|s",
        ]
        for datagram in datagrams { Array(datagram.utf8).withUnsafeBytes { receiver.receive(datagram: $0) } }
        #expect(receiver.isPending)
        #expect(ledger.linesSeen.load(ordering: .relaxed) == 0)
        receiver.tick(nowNanoseconds: 1_789_999_999_000_000_000)
        receiver.tick(nowNanoseconds: 1_790_000_000_000_000_000)
        #expect(!receiver.isPending)
        let applied = ledger.linesApplied.load(ordering: .relaxed)
        #expect(ledger.linesSeen.load(ordering: .relaxed) == 10)
        #expect(applied == 8)
        #expect(applied + ledger.linesRejected.total == 10)
        let lines = scrape()
        for expected in [
            "a_total 2", #"b{x="y"} 2"#, "c_sum 3", "a_gauge 5", "a_seconds_sum 0.007", "a_unique 1", "u_unique 1",
            "crest_statsd_events_total 1", "crest_statsd_service_checks_total 1", "crest_statsd_ignored_rates_total 1",
        ] { #expect(lines.contains(Substring(expected)), "\(expected)") }
    }

    @Test("The format follows Accept, gzip follows Accept-Encoding")
    func negotiation() throws {
        _ = post("a:1|c")
        let plain = get("/metrics")
        #expect(plain.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
        #expect(plain.header("vary") == "accept, accept-encoding")
        let open = get("/metrics", [("accept", "application/openmetrics-text;version=1.0.0")])
        #expect(open.header("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        #expect(String(decoding: open.body, as: UTF8.self).hasSuffix("\n# EOF\n"))
        let zipped = get("/metrics", [("accept-encoding", "gzip")])
        #expect(zipped.header("content-encoding") == "gzip")
        let body = try zipped.body.withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1 << 20) }
        #expect(String(decoding: body, as: UTF8.self).contains("a_total 1\n"))
    }

    @Test("Every family is described once and its samples stand together, whatever the types clash")
    func wellFormed() {
        _ = post("same:1|c\nsame:2|g\nsame:3|ms\nsame_total:1|g\nsame.seconds:1|g\nsame:x|s\na.b:1|g\na_b:2|g\n9:1|c")
        for headers in [[], [(name: "accept", value: "application/openmetrics-text")]] {
            var described: Set<Substring> = []
            var sampled: Set<Substring> = []
            for line in scrape(headers) where !line.isEmpty {
                if line.hasPrefix("# TYPE ") { #expect(described.insert(line).inserted, "\(line)") }
                if !line.hasPrefix("#") {
                    let series = line[..<(line.lastIndex(of: " ") ?? line.startIndex)]
                    #expect(sampled.insert(series).inserted, "\(line)")
                }
            }
        }
    }

    @Test("The daemon's own families come along and take the place of built-in ones")
    func contributed() {
        let other = MetricsService(
            ledger: ledger, now: { 0 },
            selfMetrics: {
                [
                    .counters(
                        "crest_datagrams_received_total", "By listener.", by: "listener", [("statsd", 7), ("crest", 2)]),
                    .gauge("crest_head_bytes", "Bytes.", 12),
                ]
            })
        let request = Request(method: "GET", target: "/metrics")
        let text = String(decoding: other.handlers.scrape(request).body, as: UTF8.self)
        #expect(text.contains("crest_datagrams_received_total{listener=\"statsd\"} 7\n"))
        #expect(!text.contains("crest_datagrams_received_total 0"))
        #expect(text.contains("crest_head_bytes 12\n"))
        #expect(text.contains("process_resident_memory_bytes "))
    }

    @Test("Series are listed with values and quantiles")
    func series() {
        _ = post("t:10|ms|#k:a\nt:20|ms|#k:b\nc:4|c|#k:\"q\n")
        let listed = String(decoding: get("/api/crest/v1/series?name=c_total").body, as: UTF8.self)
        #expect(listed.hasPrefix(#"{"series":[{"name":"c_total","type":"counter","labels":{"k":"\"q"},"value":4"#))
        let target = "/api/crest/v1/series?name=t_seconds&quantile=0.5&label=k:a"
        let quantiles = String(decoding: get(target).body, as: UTF8.self)
        #expect(quantiles.contains(#""quantile":0.01"#))
        #expect(!quantiles.contains(#""k":"b""#))
        for bad in ["quantile=2", "quantile=x", "label=k", "window=0s", "window=2m", "limit=0", "name=%zz"] {
            #expect(get("/api/crest/v1/series?\(bad)").status == 400, "\(bad)")
        }
    }
}
