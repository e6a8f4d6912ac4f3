import Endpoints
import MetricsEngine
import Synchronization
import Telemetry
import Testing

/// A daemon with tokens of the default tenant and of `a`, `b` and `c`, whose metrics are in memory.
private final class Shop: Sendable {
    let main: MetricsService
    let tenants: MetricTenants
    let daemon: TestDaemon
    private let clock: Clock
    private let refusals: Broken
    private let made: Made

    init(limit: Int = 8, spanSeries: Int = 100, waitingLimit: Int = 1 << 20) throws {
        let clock = Clock()
        let ledger = Ledger()
        let made = Made()
        let engine = MetricsEngine()
        engine.beginRecording(number: 1, sealed: [])
        let main = MetricsService(
            engine: engine, ledger: ledger, now: { clock.now }, selfMetrics: { made.tenants?.families ?? [] },
            recorder: { NoRecordedSegments() },
            spanSeries: spanSeries)
        let broken = Broken()
        let tenants = MetricTenants(
            limit: limit, blank: Self.tenant("", main, 0), countsSpans: spanSeries > 0, waitingLimit: waitingLimit
        ) { name in
            if broken.names.withLock({ $0.contains(name) }) { return .failure(.failed("EIO")) }
            return .success(Self.tenant(name, main, spanSeries))
        }
        made.tenants = tenants
        let policy = try Self.policy()
        daemon = TestDaemon { context in
            context.ledger = ledger
            context.access = AccessControl(policy: policy)
            context.tenants = tenants
            context.metrics = main.handlers
            let own = main.handlers.spans
            context.metrics.spans = { $0.origin.tenant == "default" ? own($0) : tenants.note($0) }
            context.samples = RecorderSampleSource(
                engine: main.engine, segments: { NoRecordedSegments() }, now: { clock.now })
        }
        (self.main, self.tenants, self.clock, refusals) = (main, tenants, clock, broken)
        self.made = made
    }

    /// Service and tenants hold each other, as they do in the daemon for all its life.
    deinit { made.tenants = nil }

    private final class Clock: Sendable {
        private let seconds = Mutex<UInt64>(1_790_000_000)
        var now: UInt64 { seconds.withLock { $0 * 1_000_000_000 } }
        func advance() { seconds.withLock { $0 += 1 } }
    }

    /// What the default tenant's scrape asks.
    private final class Made: Sendable {
        private let made = Mutex<MetricTenants?>(nil)
        var tenants: MetricTenants? {
            get { made.withLock { $0 } }
            set { made.withLock { $0 = newValue } }
        }
    }

    /// Tenants that the disk refuses.
    private final class Broken: Sendable { let names = Mutex<Set<String>>([]) }

    private static func tenant(_ name: String, _ main: MetricsService, _ spanSeries: Int) -> MetricTenant {
        let engine = MetricsEngine()
        engine.beginRecording(number: 1, sealed: [])
        return MetricTenant(
            main.beside(name, engine: engine, recorder: NoRecordedSegments(), spanSeries: spanSeries),
            isRecorded: true)
    }

    private static func policy() throws -> AccessPolicy {
        let lines = ["default", "a", "b", "c"].map { tenant in
            let digest = AccessToken.digest(of: "crst_\(tenant)").hex
            return "name=\(tenant) scopes=ingest,query,scrape,admin tenant=\(tenant) sha256=\(digest)"
        }
        return AccessPolicy(try TokenFile(lines.joined(separator: "\n")))
    }

    func refuse(_ tenant: String?) { refusals.names.withLock { $0 = tenant.map { [$0] } ?? [] } }

    /// What closed is shown after it.
    func settle() {
        for _ in 0..<3 {
            clock.advance()
            tenants.stepLogs()
            tenants.advance()
            main.advance()
        }
    }

    func ask(
        _ tenant: String, _ method: String, _ target: String, _ body: String = "", _ headers: [(String, String)] = []
    ) -> Response {
        daemon.send(
            Request(
                method: method, target: target, headers: [("authorization", "Bearer crst_\(tenant)")] + headers,
                body: body.bytes))
    }

    func get(_ tenant: String, _ target: String) -> Response { ask(tenant, "GET", target) }

    func send(_ tenant: String, _ lines: String) -> Response { ask(tenant, "POST", "/api/v1/statsd", lines) }

    func span(_ tenant: String, _ name: String) -> SpanBatch {
        let span = SpanRecord(
            traceID: TraceID(high: 0, low: 7), spanID: SpanID(8), name: name, kind: 2, start: 1_000_000_000,
            end: 1_500_000_000)
        return SpanBatch(origin: BatchOrigin(tenant: tenant, arrival: 1), records: [span])
    }
}

@Suite("Metrics of tenants")
struct MetricTenantsTests {
    private static let everybody = ["default", "a", "b"]

    /// Everything of the metrics side that can be read.
    private static let reads = [
        "/metrics", "/api/crest/v1/series", "/api/crest/v1/series/range?name=~.%2B&from=1789999990&to=1790000020",
        "/api/crest/v1/rejects", "/api/crest/v1/metrics/cardinality", "/api/crest/v1/metrics/conflicts",
        "/api/crest/v1/metrics/top", "/api/crest/v1/metrics/top?by=series", "/prometheus/api/v1/labels",
        "/prometheus/api/v1/label/__name__/values", "/prometheus/api/v1/label/who/values",
        "/prometheus/api/v1/series?match[]=%7B__name__%3D~%22.%2B%22%7D",
        "/prometheus/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D&time=1790000003",
        "/prometheus/api/v1/query_range?query=%7B__name__%3D~%22.%2B%22%7D&start=1790000000&end=1790000005&step=1",
        "/prometheus/api/v1/metadata", "/prometheus/api/v1/status/buildinfo",
    ]

    @Test("Nothing that a tenant has sent is in any answer to another")
    func isolated() throws {
        let shop = try Shop()
        for tenant in Self.everybody {
            let lines = "orders:3|c|#who:\(tenant)\n\(tenant)zzz:1|c\n\(tenant)zzz:1|g\nbad\(tenant)zzz\n"
            #expect(shop.send(tenant, lines).status == 202)
        }
        shop.settle()
        for tenant in Self.everybody {
            for read in Self.reads {
                // Which tenants there are is told to the default one.
                let lines = shop.get(tenant, read).text.split(separator: "\n")
                let text = lines.filter { !$0.hasPrefix("crest_metric_tenant_") }.joined(separator: "\n")
                for other in Self.everybody where other != tenant {
                    #expect(!text.contains("\(other)zzz"), "\(tenant) \(read): \(text)")
                    #expect(!text.contains("\"\(other)\"") || other == "default", "\(tenant) \(read): \(text)")
                }
            }
            #expect(shop.get(tenant, "/metrics").text.contains("orders_total{who=\"\(tenant)\"} 3\n"))
            #expect(shop.get(tenant, "/api/crest/v1/series").text.contains("\(tenant)zzz"))
            #expect(shop.get(tenant, "/api/crest/v1/metrics/conflicts").text.contains("\(tenant)zzz"))
            #expect(shop.get(tenant, "/prometheus/api/v1/label/who/values").text.contains("[\"\(tenant)\"]"))
            let rejects = shop.get(tenant, "/api/crest/v1/rejects").text
            #expect(rejects.hasPrefix(#"{"seen":4,"applied":3,"#) && rejects.contains("bad\(tenant)zzz"))
            let isKnown = shop.get(tenant, "/api/crest/v1/explain?line=azzz:1%7Cc").text.contains(#""isKnown":true"#)
            #expect(isKnown == (tenant == "a"))
            let own = shop.get(tenant, "/metrics").text.contains("\ncrest_")
            #expect(own == (tenant == "default"))
        }
        let ledger = shop.get("default", "/api/crest/v1/ledger").text
        #expect(ledger.contains(#""lines":{"seen":12,"applied":9,"#) && ledger.hasPrefix(#"{"balanced":true"#))
        #expect(shop.get("a", "/api/crest/v1/ledger").status == 403)
        let scrape = shop.get("default", "/metrics").text
        #expect(scrape.contains("crest_metric_tenant_series{tenant=\"a\"} 3\n"))
        #expect(scrape.contains("crest_metric_tenants 2\n") && scrape.contains("crest_lines_seen_total 12\n"))
    }

    @Test("Questions make no engine; a tenant without one gets answers of the same form with nothing in them")
    func questions() throws {
        let shop = try Shop()
        for read in Self.reads {
            let answer = shop.get("a", read)
            #expect(answer.status == 200, "\(read): \(answer.status) \(answer.text)")
        }
        #expect(shop.get("a", "/metrics").text == "")
        #expect(shop.get("a", "/api/crest/v1/explain?line=x:1%7Cc").status == 200)
        #expect(shop.get("default", "/metrics").text.contains("crest_metric_tenants 0\n"))
        // Nor does a body that is none.
        let bad = shop.ask("a", "POST", "/v1/metrics", "{", [("content-type", "application/json")])
        #expect(bad.status == 400)
        #expect(shop.get("default", "/metrics").text.contains("crest_metric_tenants 0\n"))
    }

    @Test("Beyond the limit a tenant's metrics are refused, by each way in, and those of the others go on")
    func full() throws {
        let shop = try Shop(limit: 1)
        #expect(shop.send("a", "x:1|c").status == 202)
        let points = #"{"resourceMetrics":[]}"#
        let refused = [
            shop.send("b", "x:1|c"),
            shop.ask("b", "POST", "/v1/metrics", points, [("content-type", "application/json")]),
            shop.ask("b", "POST", "/api/v1/write", "\u{0}", [("content-type", "application/x-protobuf")]),
        ]
        for answer in refused {
            #expect(answer.status == 429 && answer.header("retry-after") == "60", "\(answer.status) \(answer.text)")
            #expect(answer.text.contains("--metric-tenants"))
        }
        #expect(shop.send("a", "x:1|c").status == 202)
        #expect(shop.send("default", "x:1|c").status == 202)
        shop.tenants.note(shop.span("b", "op"))
        shop.settle()
        let scrape = shop.get("default", "/metrics").text
        #expect(scrape.contains("crest_metric_tenants_refused_total 3\n"))
        #expect(scrape.contains("crest_requests_rejected_total{reason=\"metric_tenants\"} 3\n"))
        #expect(scrape.contains("crest_span_metrics_uncounted_spans_total 1\n"))
        #expect(shop.get("b", "/metrics").text == "")
    }

    @Test("A disk that refuses a tenant's folder is told as such, and tried again with the next request")
    func broken() throws {
        let shop = try Shop()
        shop.refuse("a")
        let answer = shop.send("a", "x:1|c")
        #expect(answer.status == 503 && !answer.text.contains("EIO"))
        shop.refuse(nil)
        #expect(shop.send("a", "x:1|c").status == 202)
    }

    @Test("Spans are counted in the metrics of their own tenant, which they make; what finds no room is counted")
    func spans() throws {
        let shop = try Shop(waitingLimit: 1_000)
        for tenant in Self.everybody {
            shop.daemon.router.context.metrics.spans(shop.span(tenant, "op-\(tenant)"))
        }
        shop.settle()
        for tenant in Self.everybody {
            let text = shop.get(tenant, "/metrics").text
            for name in Self.everybody { #expect(text.contains("op-\(name)\"") == (name == tenant)) }
        }
        // Once there, at once; from a request of whomever.
        shop.daemon.router.context.metrics.spans(shop.span("a", "later"))
        shop.settle()
        #expect(shop.get("a", "/metrics").text.contains("span_name=\"later\""))
        for _ in 0..<20 { shop.tenants.note(shop.span("c", "many")) }
        shop.settle()
        let counted = shop.get("c", "/metrics").text.firstMatch(of: /traces_spanmetrics_calls_total\{.*\} (\d+)/)
        let taken = counted.flatMap { Int($0.1) } ?? 0
        #expect(taken > 0 && taken < 20)
        let lost = "crest_span_metrics_uncounted_spans_total \(20 - taken)\n"
        #expect(shop.get("default", "/metrics").text.contains(lost))
    }

    @Test("After the end nobody gets an engine any more")
    func closed() throws {
        let shop = try Shop()
        #expect(shop.send("a", "x:1|c").status == 202)
        #expect(shop.tenants.close())
        #expect(shop.send("b", "x:1|c").status == 503)
    }
}
