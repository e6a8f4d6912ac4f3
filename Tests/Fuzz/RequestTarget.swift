internal import Endpoints
internal import MetricsEngine
internal import QueryEngine
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import WireFormats

/// Whole requests through the router, with all of their parameters, headers and bodies: exactly one answer, none that
/// blames us, no header that breaks its line, JSON where JSON is announced.
///
///     listener SP method SP target LF  (name ":" value LF)*  LF  body
extension FuzzTarget {
    static let request = FuzzTarget(
        name: "request",
        seeds: {
            [
                "http GET /api/traces?service=web&operation=GET&tags=%7B%22sku%22%3A%22s1%22%7D&minDuration=1ms&lookback=1h",
                "http GET /api/crest/v1/search?service=web&tag=sku:s1&order=longest&limit=5&start=-1h&page=00",
                "http GET /api/v2/traces?annotationQuery=error%20and%20sku%3Ds1&endTs=1&lookback=99999999999&limit=7",
                "http POST /prometheus/api/v1/query_range\ncontent-type:application/x-www-form-urlencoded\n\n"
                    + "query=up%5B5m%5D&start=1&end=2&step=1m",
                "http GET /prometheus/api/v1/series?match[]=%7Ba%3D~%22b%7Cc%22%7D&start=1970-01-01T00:00:00Z",
                "http GET /metrics\naccept:application/openmetrics-text;q=0.5,*/*\naccept-encoding:gzip\n",
                "http POST /api/v1/statsd\n\na:1|c|#b:c\nd:2|ms",
                "http POST /v1/traces\ncontent-type:application/json\n\n{\"resourceSpans\":[]}",
                "otlp-grpc POST /grpc.health.v1.Health/Check\ncontent-type:application/x-protobuf\n\n",
                "zipkin POST /api/v2/spans\ncontent-type:application/json\n\n"
                    + "[{\"traceId\":\"1\",\"id\":\"2\",\"name\":\"n\",\"timestamp\":1}]",
                "http GET /api/crest/v1/series/range?name=a_total&from=0&to=9&step=1&label.b=c",
                "http GET /api/crest/v1/explain?line=a.b:1%7Cc\nhost:localhost:1\nauthorization:Bearer crst_x\n",
                "http DELETE /api/crest/v1/traces/0af7651916cd43dd8448eb211c80319c\nx-scope-orgid:default\n",
            ].map { Array($0.utf8) }
        },
        check: { input in
            guard var (request, listener) = request(of: input) else { return nil }
            let answers = Mutex<[Response]>([])
            _ = router.refusal(beforeBodyOf: &request, listener: listener)
            _ = router.work(for: request, listener: listener)
            router.respond(to: request, listener: listener) { response in answers.withLock { $0.append(response) } }
            let all = answers.withLock { $0 }
            guard all.count == 1, let answer = all.first else { return "\(all.count) answers" }
            return defect(of: answer)
        })

    private static func request(of input: [UInt8]) -> (Request, ListenerRole)? {
        let newline = UInt8(ascii: "\n")
        var lines = input.split(separator: newline, omittingEmptySubsequences: false)[...]
        guard let first = lines.popFirst() else { return nil }
        let words = first.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard words.count == 3, let role = ListenerRole(rawValue: words[0]) else { return nil }
        var request = Request(method: words[1], target: words[2])
        while let line = lines.popFirst(), !line.isEmpty {
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            guard parts.count == 2 else { continue }
            request.headers.append((parts[0].lowercased(), parts[1]))
        }
        request.body = Array(lines.joined(separator: [newline]))
        return (request, role)
    }

    private static func defect(of answer: Response) -> String? {
        guard (200...599).contains(answer.status), answer.status != 500 else { return "status \(answer.status)" }
        for (name, value) in answer.headers {
            let isLine = (name + value).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
            if !isLine || name != name.lowercased() { return "a header \(name.debugDescription)" }
        }
        let type = answer.header("content-type") ?? ""
        if type.hasPrefix("application/json"), answer.header("content-encoding") == nil, !isJSON(answer.body),
            !answer.body.isEmpty
        {
            return "what is announced as JSON is none"
        }
        return nil
    }

    /// Tables that a flood of names may fill.
    private static let router: Router = {
        var limits = SeriesLimits(series: 500, seriesPerFamily: 50, families: 100)
        limits.seriesPerSource = 400
        let ledger = Ledger()
        let metrics = MetricsService(
            engine: MetricsEngine(limits: limits), ledger: ledger, now: { 1_790_000_000_000_000_000 })
        var context = EndpointContext(
            sink: FuzzStore(), source: FuzzStore(), ledger: ledger, now: { 1_790_000_000_000_000_000 },
            metrics: metrics.handlers)
        context.access = AccessControl(hosts: [.http: HostAllowlist(["crest.example"])])
        context.samples = samples
        return Router(context)
    }()

    private static let samples = MemorySamples(
        openMetrics: "up{a=\"b\"} 1 1600000000\nup{a=\"c\"} 2 1600000060\nm_bucket{le=\"+Inf\"} 1 1600000000\n")
}

/// Takes everything, keeps nothing, shows one trace.
private struct FuzzStore: SpanSink, SpanSource {
    func accept(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) { completion(.success(CommitReceipt(sequence: 1, durability: .memory))) }

    func parts() -> [any SpanPart] { [FuzzPart()] }
    func services(tenant: String) -> [String] { ["web"] }
    func operations(service: String?, tenant: String) -> [Operation] { [Operation(name: "GET", kind: .server)] }
}

private struct FuzzPart: SpanPart {
    private static let spans = [
        SpanRecord(
            traceID: TraceID(high: 0, low: 1), spanID: SpanID(1), name: "GET", kind: 2,
            start: 1_789_999_999_000_000_000,
            end: 1_789_999_999_500_000_000, attributes: [Attribute("sku", .string("s1\u{0}\u{202e}\n"))],
            resource: Resource(attributes: [Attribute("service.name", .string("web"))], serviceName: "web")),
        SpanRecord(
            traceID: TraceID(high: 0, low: 1), spanID: SpanID(2), parentID: SpanID(2), name: "", kind: 9, start: .max,
            end: 0, status: 2, resource: Resource(attributes: [], serviceName: "")),
    ]

    var starts: ClosedRange<UInt64> { 0...UInt64.max }
    var spanCount: Int { Self.spans.count }

    func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        Self.spans.contains { filter.matches($0) } ? [extent] : []
    }

    func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent? {
        traceID == extent.traceID ? extent : nil
    }

    func spans(of traceID: TraceID, tenant: String, budget: QueryBudget) throws(ReadError) -> [SpanRecord] {
        traceID == extent.traceID ? Self.spans : []
    }

    private var extent: TraceExtent {
        TraceExtent(traceID: TraceID(high: 0, low: 1), start: 1_789_999_999_000_000_000, end: .max)
    }
}
