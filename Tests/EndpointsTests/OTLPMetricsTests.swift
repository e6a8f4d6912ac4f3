import Endpoints
import Synchronization
import Telemetry
import Testing

@Suite("OTLP metrics")
struct OTLPMetricsTests {
    private let ledger = Ledger()
    private let service: MetricsService
    private let daemon: TestDaemon

    init() {
        let service = MetricsService(ledger: ledger, now: { 1_790_000_000_000_000_000 })
        self.service = service
        daemon = TestDaemon { $0.metrics = service.handlers }
    }

    private func post(_ metrics: String, start: Int = 1) -> Response {
        let resource =
            #"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},"#
            + #"{"key":"service.instance.id","value":{"stringValue":"i1"}},"#
            + #"{"key":"host.name","value":{"stringValue":"h"}}]}"#
        let body =
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[\#(metrics)],"scope":{"name":"lib"}}],"#
            + #""resource":\#(resource)}]}"#
        return daemon.post("/v1/metrics", body.bytes, type: "application/json")
    }

    private func scrape() -> Set<Substring> { Set(daemon.get("/metrics").text.split(separator: "\n")) }

    private func sum(_ value: Int, start: Int, time: Int, temporality: Int = 2) -> String {
        #"{"name":"order.count","unit":"{order}","sum":{"isMonotonic":true,"aggregationTemporality":\#(temporality),"#
            + #""dataPoints":[{"asInt":"\#(value)","startTimeUnixNano":"\#(start)","timeUnixNano":"\#(time)"}]}}"#
    }

    private let labels = #"{instance="i1",job="shop",otel_scope_name="lib"}"#

    @Test("Cumulative sums grow by what is new; another start time is another stream; deltas add up")
    func sums() {
        #expect(post(sum(5, start: 10, time: 20)).text == "{}")
        #expect(scrape().contains("order_count_total\(labels) 5"))
        _ = post(sum(7, start: 10, time: 30))
        _ = post(sum(7, start: 10, time: 30))
        #expect(scrape().contains("order_count_total\(labels) 7"))
        _ = post(sum(2, start: 40, time: 50))
        _ = post(sum(8, start: 10, time: 60))
        #expect(scrape().contains("order_count_total\(labels) 10"))
        _ = post(sum(3, start: 60, time: 70, temporality: 1))
        _ = post(sum(3, start: 70, time: 80, temporality: 1))
        let lines = scrape()
        #expect(lines.contains("order_count_total\(labels) 16"))
        #expect(lines.contains(#"target_info{host_name="h",instance="i1",job="shop"} 1"#))
        #expect(lines.contains("crest_points_seen_total 7"))
        let late = post(sum(9, start: 10, time: 55))
        #expect(late.text.contains(#""rejectedDataPoints":"1""#) && late.text.contains("older than the last point"))
    }

    @Test("Scopes that differ in an attribute only are different series; name and version are not replaced")
    func scopes() {
        func metrics(_ attributes: String) -> String {
            #"{"scope":{"name":"lib","version":"2","attributes":[\#(attributes)]},"metrics":[\#(sum(1, start: 10, time: 20))]}"#
        }
        func attribute(_ key: String, _ value: String) -> String {
            #"{"key":"\#(key)","value":{"stringValue":"\#(value)"}}"#
        }
        let scopes = [
            "", attribute("shard.no", "a"),
            [attribute("shard.no", "b"), attribute("shard-no", "c"), attribute("name", "x"), attribute("", "y")]
                .joined(separator: ","),
        ]
        let body = #"{"resourceMetrics":[{"scopeMetrics":[\#(scopes.map(metrics).joined(separator: ","))]}]}"#
        #expect(daemon.post("/v1/metrics", body.bytes, type: "application/json").text == "{}")
        let lines = scrape().filter { $0.hasPrefix("order_count_total") }
        #expect(
            lines == [
                #"order_count_total{otel_scope_name="lib",otel_scope_version="2"} 1"#,
                #"order_count_total{otel_scope_name="lib",otel_scope_shard_no="a",otel_scope_version="2"} 1"#,
                #"order_count_total{otel_scope_name="lib",otel_scope_shard_no="c;b",otel_scope_version="2"} 1"#,
            ])
    }

    @Test("Histograms keep their own bounds, exponential ones become native, summaries gauges")
    func histograms() {
        let explicit =
            #"{"name":"lag","unit":"ms","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":"6","sum":20,"#
            + #""bucketCounts":["1","2","3"],"explicitBounds":[1,5],"exemplars":[{"asDouble":3,"timeUnixNano":"#
            + #""1790000000000000000","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7"}]}]}}"#
        let exponential =
            #"{"name":"size","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":3,"sum":7,"#
            + #""scale":0,"zeroCount":1,"positive":{"offset":0,"bucketCounts":[1,1]}}]}}"#
        let summary =
            #"{"name":"old","summary":{"dataPoints":[{"count":4,"sum":2,"quantileValues":[{"quantile":0.5,"value":1}]}]}}"#
        #expect(post([explicit, exponential, summary].joined(separator: ",")).text == "{}")
        let lines = scrape()
        for (bound, count) in [("1.0", 1), ("5.0", 3), ("+Inf", 6)] {
            let key =
                #"lag_milliseconds_bucket{instance="i1",job="shop",otel_scope_name="lib",le="\#(bound)"} \#(count)"#
            #expect(lines.contains(Substring(key)), "\(key)")
        }
        #expect(lines.contains("lag_milliseconds_sum\(labels) 20"))
        #expect(lines.contains("size_count\(labels) 3"))
        #expect(lines.contains(#"size_bucket{instance="i1",job="shop",otel_scope_name="lib",le="2.5"} 2"#))
        #expect(lines.contains(#"old{instance="i1",job="shop",otel_scope_name="lib",quantile="0.5"} 1"#))
        #expect(lines.contains("old_count\(labels) 4"))
        let open = daemon.send(
            Request(
                method: "GET", target: "/metrics",
                headers: [("accept", "application/openmetrics-text;version=1.0.0")]))
        #expect(
            open.text.contains(
                #"le="5.0"} 3 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 3 1790000000"#)
        )
    }

    @Test("A bad point costs itself, a bad body the request")
    func refusals() {
        let negative = sum(-1, start: 1, time: 2)
        let unspecified = sum(1, start: 1, time: 2, temporality: 0)
        let mismatch =
            #"{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":1,"bucketCounts":[1],"explicitBounds":[1]}]}}"#
        let answer = post([negative, unspecified, mismatch, sum(4, start: 1, time: 3)].joined(separator: ","))
        #expect(answer.status == 200)
        #expect(answer.text.contains(#""rejectedDataPoints":"3""#))
        #expect(answer.text.contains(#"metric \"order.count\": not a number"#))
        #expect(scrape().contains("order_count_total\(labels) 4"))
        #expect(ledger.pointsSeen.load(ordering: .relaxed) == 4)
        #expect(ledger.pointsApplied.load(ordering: .relaxed) + ledger.pointsRejected.total == 4)
        let broken = daemon.post("/v1/metrics", #"{"resourceMetrics":{}}"#.bytes, type: "application/json")
        #expect(broken.status == 400 && broken.text.contains("expected an array"))
        #expect(daemon.post("/v1/metrics", [0x0a, 0xff], type: "application/x-protobuf").status == 400)
        #expect(daemon.post("/v1/metrics", [], type: "application/x-protobuf").body.isEmpty)
    }

    @Test("A trace id in a line's tags becomes the exemplar and no label")
    func traceTags() {
        for index in 0..<100 {
            let id = String(repeating: "0", count: 30) + String(index + 100).suffix(2)
            _ = daemon.post("/api/v1/statsd", "t:20|ms|#k:v,trace_id:\(id)\nc,trace.id=\(id):1|c".bytes)
        }
        let text = daemon.send(
            Request(method: "GET", target: "/metrics", headers: [("accept", "application/openmetrics-text")])
        ).text
        let id = String(repeating: "0", count: 30) + "99"
        #expect(text.contains("t_seconds_bucket{k=\"v\",le=\"0.025\"} 100 # {trace_id=\"\(id)\"} 0.02 1790000000\n"))
        #expect(text.contains("c_total 100 # {trace_id=\"\(id)\"} 1 1790000000\n"))
        #expect(text.contains("crest_series 2\n"))
        #expect(!daemon.get("/metrics").text.contains(id))
    }
}
