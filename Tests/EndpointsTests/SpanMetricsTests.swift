import Endpoints
import Synchronization
import Telemetry
import Testing

/// Time that a test moves.
private final class TestTime: Sendable {
    private let seconds = Mutex<UInt64>(1_790_000_000)
    var now: UInt64 { seconds.withLock { $0 * 1_000_000_000 } }
    func advance(_ count: UInt64 = 1) { seconds.withLock { $0 += count } }
}

@Suite("Metrics made of spans")
struct SpanMetricsTests {
    private let time = TestTime()
    private let service: MetricsService

    init() { service = Self.service(time, series: 1_000) }

    private static func service(_ time: TestTime, series: Int) -> MetricsService {
        MetricsService(ledger: Ledger(), now: { time.now }, spanSeries: series)
    }

    private func span(
        _ trace: UInt64, _ name: String, milliseconds: UInt64, kind: UInt8 = 2, status: UInt8 = 0,
        service: String = "web"
    ) -> SpanRecord {
        let start: UInt64 = 1_700_000_000_000_000_000
        return SpanRecord(
            traceID: TraceID(high: 0, low: trace), spanID: SpanID(trace + 100), name: name, kind: kind, start: start,
            end: start + milliseconds * 1_000_000, status: status,
            resource: Resource(attributes: [Attribute("service.name", .string(service))], serviceName: service))
    }

    private func batch(_ records: [SpanRecord], tenant: String = BatchOrigin.defaultTenant) -> SpanBatch {
        SpanBatch(origin: BatchOrigin(tenant: tenant, arrival: 1), records: records)
    }

    private func scrape(_ service: MetricsService) -> String {
        for _ in 0..<2 {
            service.advance()
            time.advance()
        }
        service.advance()
        return service.handlers.scrape(
            Request(method: "GET", target: "/metrics", headers: [("accept", "application/openmetrics-text")])
        ).text
    }

    @Test("Rate, errors and durations by operation; each bucket leads to its last trace")
    func red() {
        service.handlers.spans(
            batch([
                span(1, "GET /buy", milliseconds: 3), span(2, "GET /buy", milliseconds: 900, status: 2),
                span(3, "GET /buy", milliseconds: 3), span(4, "send", milliseconds: 0, kind: 4, service: "a\"b"),
            ]))
        service.handlers.spans(batch([span(5, "GET /buy", milliseconds: 70)]))
        let text = scrape(service)
        let key = #"service="web",span_kind="SPAN_KIND_SERVER",span_name="GET /buy",status_code="STATUS_CODE_"#
        let trace = String(repeating: "0", count: 31)
        #expect(text.contains("traces_spanmetrics_calls_total{\(key)UNSET\"} 3"))
        #expect(text.contains("traces_spanmetrics_calls_total{\(key)ERROR\"} 1"))
        #expect(text.contains("traces_spanmetrics_latency_count{\(key)UNSET\"} 3"))
        let bucket = "traces_spanmetrics_latency_bucket{\(key)"
        #expect(
            text.contains("\(bucket)UNSET\",le=\"0.004\"} 2 # {trace_id=\"\(trace)3\",span_id=\"0000000000000067\"}"))
        #expect(text.contains("\(bucket)UNSET\",le=\"0.128\"} 3 # {trace_id=\"\(trace)5\""))
        #expect(text.contains("\(bucket)ERROR\",le=\"1.024\"} 1 # {trace_id=\"\(trace)2\""))
        #expect(text.contains(#"{service="a\"b",span_kind="SPAN_KIND_PRODUCER",span_name="send""#))
        #expect(text.contains("crest_span_metrics_spans_total 5\n"))
        #expect(text.contains("crest_lines_seen_total 0\n"))
    }

    @Test("Spans that were refused, that have no duration or are another tenant's are in no metric")
    func leftOut() {
        let daemon = TestDaemon { $0.metrics = service.handlers }
        let body =
            #"[{"traceId":"1a","id":"2","name":"op","kind":"SERVER","timestamp":5,"duration":7000,"#
            + #""localEndpoint":{"serviceName":"shop"}}]"#
        daemon.store.refusal = .busy(retryAfter: 1)
        #expect(daemon.post("/api/v2/spans", body.bytes).status == 503)
        daemon.store.refusal = nil
        #expect(daemon.post("/api/v2/spans", body.bytes).status == 202)
        service.handlers.spans(batch([span(1, "other", milliseconds: 3)], tenant: "other"))
        let noDuration = #"[{"traceId":"1b","id":"3","name":"half","localEndpoint":{"serviceName":"shop"}}]"#
        #expect(daemon.post("/api/v2/spans", noDuration.bytes).status == 202)
        let text = scrape(service)
        #expect(
            text.contains(
                #"service="shop",span_kind="SPAN_KIND_SERVER",span_name="op",status_code="STATUS_CODE_UNSET"} 1"#))
        #expect(!text.contains(#"span_name="other""#) && !text.contains(#"span_name="half""#))
        #expect(text.contains("crest_span_metrics_spans_total 1\n"))
        let off = Self.service(time, series: 0)
        off.handlers.spans(batch([span(1, "x", milliseconds: 3)]))
        #expect(!scrape(off).contains("span_metrics") && !scrape(off).contains("spanmetrics"))
    }

    @Test("A timer's buckets lead to the spans of its operation, and to no others")
    func timers() {
        let lines = [
            "http.latency:40|ms|#service:web,uri:/buy,method:GET,status:200",
            "http.latency:900|ms|#service:web,uri:/buy,method:GET,status:500",
            "http.latency:40|ms|#service:web,uri:/buy,method:POST,status:200",
            "http.latency:40|ms|#service:other,uri:/buy,method:GET,status:200",
            "job.time:40|ms|#service:web,operation:sweep",
        ]
        let post = Request(method: "POST", target: "/api/v1/statsd", body: lines.joined(separator: "\n").bytes)
        #expect(service.handlers.statsD(post).status == 202)
        _ = scrape(service)
        func served(_ trace: UInt64, _ milliseconds: UInt64, status: Int64, kind: UInt8 = 2) -> SpanRecord {
            var record = span(trace, "GET /buy", milliseconds: milliseconds, kind: kind)
            record.attributes = [Attribute("http.response.status_code", .int(status))]
            return record
        }
        let spans = [
            served(1, 45, status: 200), served(2, 950, status: 500),
            served(3, 3, status: 200),  // no line fell into its bucket
            served(4, 48, status: 200, kind: 3), span(5, "sweep", milliseconds: 30, kind: 1),
        ]
        service.handlers.spans(batch(spans))
        let text = scrape(service)
        let trace = String(repeating: "0", count: 31)
        let found = text.split(separator: "\n").filter { $0.contains("_seconds_bucket") && $0.contains("trace_id") }
        let web = #"http_latency_seconds_bucket{method="GET",service="web","#
        #expect(found.count == 3, "\(found)")
        #expect(
            found.contains { $0.hasPrefix(web + #"status="200",uri="/buy",le="0.05"} 1 # {trace_id="\#(trace)1""#) })
        #expect(found.contains { $0.hasPrefix(web + #"status="500",uri="/buy",le="1.0"} 1 # {trace_id="\#(trace)2""#) })
        #expect(found.contains { $0.contains(#"operation="sweep""#) && $0.contains("\(trace)5") })
    }

    @Test("Beyond the limit of series the service's overflow series has the rest, to the last span")
    func limited() {
        let service = Self.service(time, series: 10)
        let records = (0..<100).map { span(UInt64($0 + 1), "op \($0 % 40)", milliseconds: 5) }
        service.handlers.spans(batch(records))
        let text = scrape(service)
        let counts = text.split(separator: "\n").filter { $0.hasPrefix("traces_spanmetrics_calls_total{") }
        #expect(counts.count == 11)
        let total = counts.compactMap { $0.split(separator: "#").first?.split(separator: " ").last }.compactMap {
            Int($0)
        }
        #expect(total.reduce(0, +) == 100)
        #expect(counts.contains { $0.contains(#"crest_overflow="true",service="web""#) })
        #expect(text.contains(#"crest_series_overflowed_total{limit="family"} "#))
    }

    @Test("A long operation name is cut at a character; what finds no room to wait is counted all the same")
    func bounds() {
        let long = String(repeating: "ü", count: 400)
        service.handlers.spans(batch([span(1, long, milliseconds: 5), span(2, long + "x", milliseconds: 5)]))
        let text = scrape(service)
        let cut = String(repeating: "ü", count: Limits.spanMetricLabelBytes / 2)
        #expect(text.contains("span_name=\"\(cut)\",status_code=\"STATUS_CODE_UNSET\"} 2"))
        let many = batch((0..<1_000).map { span($0 + 1, "many", milliseconds: 5) })
        let batches = Limits.spanMetricsWaitingBytes / many.byteCount + 2
        for _ in 0..<batches { service.handlers.spans(many) }
        let after = scrape(service)
        #expect(after.contains("crest_span_metrics_spans_total \(batches * 1_000 + 2)\n"))
        #expect(after.contains("span_name=\"many\",status_code=\"STATUS_CODE_UNSET\"} \(batches * 1_000)"))
    }
}
