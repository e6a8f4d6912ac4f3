import Endpoints
import MetricsEngine
import Synchronization
import Telemetry
import TestKit
import Testing

private typealias Samples = RemoteWriteSamples

@Suite("Prometheus remote write")
struct RemoteWriteTests {
    private let ledger = Ledger()
    private let daemon: TestDaemon
    /// Unix milliseconds of the clock.
    private let now: Int64 = 1_790_000_000_000

    init() {
        let service = MetricsService(ledger: ledger, now: { 1_790_000_000_000_000_000 })
        daemon = TestDaemon { $0.metrics = service.handlers }
    }

    private func post(_ body: [UInt8], version: Int = 1) -> Response {
        let proto = version == 1 ? "" : ";proto=io.prometheus.write.v2.Request"
        return daemon.post(
            "/api/v1/write", SnappyEncoder.encode(body), type: "application/x-protobuf" + proto, encoding: "snappy")
    }

    private func scrape(_ accept: String? = nil) -> Set<Substring> {
        Set(daemon.get("/metrics").text.split(separator: "\n"))
    }

    private func written(_ response: Response) -> [String] {
        ["samples", "histograms", "exemplars"].map {
            response.header("x-prometheus-remote-write-\($0)-written") ?? "none"
        }
    }

    @Test("Counters go on by what is new, gauges hold the last value, a repeated request changes nothing")
    func countersAndGauges() {
        let body =
            Samples.series(
                ["__name__": "orders_total", "job": "shop", "instance": "a:1"], values: [(5, now - 2_000), (7, now)])
            + Samples.series(["__name__": "stock", "job": "shop"], values: [(3, now), (.nan, now + 1), (4, now + 2)])
        let response = post(body)
        #expect(response.status == 204 && response.body.isEmpty && written(response) == ["5", "0", "0"])
        let lines = scrape()
        #expect(
            lines.contains(#"orders_total{instance="a:1",job="shop"} 7"#)
                && lines.contains("# TYPE orders_total counter"))
        #expect(lines.contains(#"stock{job="shop"} 4"#) && lines.contains("# TYPE stock gauge"))
        let last =
            Samples.series(["__name__": "orders_total", "instance": "a:1", "job": "shop"], values: [(7, now)])
            + Samples.series(["__name__": "stock", "job": "shop"], values: [(4, now + 2)])
        #expect(post(last).status == 204)
        #expect(ledger.pointsRejected.total == 2 && ledger.pointsSeen.load(ordering: .relaxed) == 7)
        // The sender begins again.
        let again = Samples.series(
            ["__name__": "orders_total", "job": "shop", "instance": "a:1"], values: [(2, now + 5)])
        #expect(post(again).status == 204)
        #expect(scrape().contains(#"orders_total{instance="a:1",job="shop"} 9"#))
    }

    @Test("Classic histograms and counters without _total keep their names and numbers as gauges")
    func classicHistograms() {
        let body = [("0.5", 3.0), ("+Inf", 4)].flatMap {
            Samples.series(["__name__": "lag_seconds_bucket", "le": $0.0], values: [($0.1, now)])
        }
        let others = ["lag_seconds_sum", "lag_seconds_count", "lag_seconds", "errors"].flatMap {
            Samples.series(["__name__": $0], values: [(4, now)])
        }
        #expect(post(body + others).status == 204)
        let lines = scrape()
        for line in [
            #"lag_seconds_bucket{le="0.5"} 3"#, #"lag_seconds_bucket{le="+Inf"} 4"#, "lag_seconds_sum 4",
            "lag_seconds_count 4", "lag_seconds 4", "errors 4", "crest_exposition_family_errors 0",
            "# TYPE lag_seconds_bucket gauge",
        ] { #expect(lines.contains(Substring(line)), "\(line)") }
    }

    @Test("Native histograms become histograms that grow by what is new; exemplars come along")
    func nativeHistograms() {
        let trace = Samples.field(1, "trace_id") + Samples.field(2, "4bf92f3577b34da6a3ce929d0e0e4736")
        let exemplar = Samples.field(3, Samples.field(1, trace) + Samples.field(2, 3.0) + Samples.field(3, now))
        func body(_ counts: [Int64], _ sum: Double, _ time: Int64) -> [UInt8] {
            Samples.series(
                ["__name__": "size", "job": "shop"],
                Samples.field(4, Samples.histogram(counts: counts, zero: 1, sum: sum, time: time)) + exemplar)
        }
        let first = post(body([1, 3, 2], 19, now))
        #expect(first.status == 204 && written(first) == ["0", "1", "1"])
        #expect(written(post(body([1, 3, 2], 19, now))) == ["0", "1", "1"])
        #expect(post(body([2, 3, 2], 21, now + 1)).status == 204)
        #expect(scrape().isSuperset(of: [#"size_count{job="shop"} 8"#, #"size_sum{job="shop"} 21"#]))
    }

    @Test("What cannot be written is told, the rest is there")
    func partial() {
        let good = Samples.series(["__name__": "good"], values: [(1, now)])
        let bad: [([UInt8], String, PointRejection)] = [
            (Samples.series(["job": "a"], values: [(1, now)]), "a series: the metric has no name", .emptyName),
            (
                Samples.series(["__name__": "x", "a": "1", "a": "2"], values: [(1, now)]), "a series: a label",
                .badLabels
            ),
            (Samples.series(["__name__": "good"], values: [(1, now - 1)]), #"series "good": older"#, .outOfOrder),
            (Samples.series(["__name__": "good"], values: [(2, now)]), #"series "good": another"#, .duplicateTime),
            (
                Samples.series(["__name__": "good"], values: [(2, now + 700_000)]), #"series "good": more than"#,
                .inFuture
            ),
            (
                Samples.series(["__name__": "x_total"], values: [(-1, now)]), #"series "x_total": not a number"#,
                .badValue
            ),
        ]
        for (body, message, reason) in bad {
            let response = post(good + body)
            #expect(response.status == 400 && response.text.hasPrefix(message), "\(response.text)")
            #expect(written(response) == ["1", "0", "0"])
            #expect(ledger.pointsRejected.counts.contains { $0.reason == reason && $0.count == 1 }, "\(reason)")
        }
        #expect(scrape().contains("good 1"))
        #expect(ledger.requestsRejected.total == 0)
    }

    @Test("Beyond a limit of series samples are refused, and no overflow series gets their values")
    func tooManySeries() {
        var limits = SeriesLimits()
        limits.seriesPerFamily = 2
        let service = MetricsService(
            engine: MetricsEngine(limits: limits), ledger: ledger, now: { 1_790_000_000_000_000_000 })
        let daemon = TestDaemon { $0.metrics = service.handlers }
        let body = ["a", "b", "c"].flatMap { Samples.series(["__name__": "n_total", "l": $0], values: [(5, now)]) }
        let response = daemon.post("/api/v1/write", SnappyEncoder.encode(body), type: "application/x-protobuf")
        #expect(response.status == 400 && response.text == "series \"n_total\": a limit of series is reached\n")
        #expect(written(response) == ["2", "0", "0"])
        #expect(!daemon.get("/metrics").text.contains(#"n_total{crest_overflow"#))
    }

    @Test("Stale markers are written and change nothing")
    func staleMarkers() {
        let stale = Double(bitPattern: RemoteWriteBatch.staleBits)
        let body = ["a_total", "b"].flatMap { Samples.series(["__name__": $0], values: [(2, now), (stale, now + 1)]) }
        let response = post(body)
        #expect(response.status == 204 && written(response) == ["4", "0", "0"])
        #expect(scrape().isSuperset(of: ["a_total 2", "b 2", "crest_remote_write_stale_markers_total 2"]))
    }

    @Test("Version 2: symbols, metadata, start times")
    func versionTwo() {
        let symbols = ["__name__", "orders_total", "job", "shop", "All orders."]
        func body(_ value: Double, _ time: Int64, _ start: Int64) -> [UInt8] {
            let metadata = Samples.field(5, Samples.field(1, Int64(1)) + Samples.field(3, Int64(5)))
            let sample = Samples.field(2, Samples.sample(value, time, start: start))
            return Samples.request(
                symbols: symbols, [Samples.field(1, [1, 2, 3, 4] as [UInt8]) + sample + metadata])
        }
        let first = post(body(5, now - 20, now - 30), version: 2)
        #expect(first.status == 204 && written(first) == ["1", "0", "0"])
        // The counter has begun again and is beyond its last value already.
        #expect(post(body(6, now, now - 10), version: 2).status == 204)
        let lines = scrape()
        #expect(lines.contains(#"orders_total{job="shop"} 11"#) && lines.contains("# HELP orders_total All orders."))
        let unknown = post(Samples.request(symbols: [], [Samples.field(1, [1, 2] as [UInt8])]), version: 2)
        #expect(
            unknown.status == 400 && unknown.text.contains("timeseries[0], byte 6: a symbol that is not in the table"))
    }

    @Test("Bodies that are not remote write are refused with the reason")
    func refused() {
        let body = Samples.series(["__name__": "a"], values: [(1, now)])
        func status(_ body: [UInt8], _ type: String, _ encoding: String?) -> Int {
            daemon.post("/api/v1/write", body, type: type, encoding: encoding).status
        }
        let block = SnappyEncoder.encode(body)
        let protobuf = "application/x-protobuf"
        #expect(status(block, protobuf, nil) == 204)
        #expect(status(body, protobuf, "identity") == 204)
        #expect(status(block, protobuf + "; proto=prometheus.WriteRequest", "snappy") == 204)
        #expect(status(block, protobuf + ";proto=io.prometheus.write.v3.Request", "snappy") == 415)
        #expect(status(block, "text/plain", "snappy") == 415)
        #expect(status(block, protobuf, "br") == 415)
        #expect(status(body, protobuf, "snappy") == 400)
        #expect(status([0xff, 0xff, 0xff, 0xff, 0x0f, 0], protobuf, "snappy") == 413)
        #expect(status([], protobuf, "snappy") == 400)
        #expect(daemon.post("/v1/metrics", block, type: protobuf, encoding: "snappy").status == 415)
        let busy = TestDaemon { $0.metrics = MetricsHandlers(remoteWrite: { _ in nil }) }
        let answer = busy.post("/api/v1/write", block, type: protobuf, encoding: "snappy")
        #expect(answer.status == 503 && answer.header("retry-after") == "1")
        #expect(TestDaemon().post("/api/v1/write", block, type: protobuf, encoding: "snappy").status == 404)
    }
}
