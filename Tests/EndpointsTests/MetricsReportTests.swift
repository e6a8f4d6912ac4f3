import Endpoints
import MetricsEngine
import Synchronization
import Telemetry
import Testing

@Suite("Reports of the metrics engine")
struct MetricsReportTests {
    private let ledger = Ledger()
    private let service: MetricsService

    init() {
        var limits = SeriesLimits(series: 100, seriesPerFamily: 3)
        limits.overflowLabels = ["status"]
        service = MetricsService(
            engine: MetricsEngine(limits: limits), ledger: ledger, now: { 1_790_000_000_000_000_000 })
        let body = (0..<5).map { "hits:2|c|#service:shop,status:200,user:u\"\($0)\n" }.joined() + "x:1|g\nx:5|h|#k:v\n"
        _ = service.receive(body: Array(body.utf8))
        service.advance()
    }

    private func text(_ handler: @Sendable (Request) -> Response, _ query: String = "", status: Int = 200) -> String {
        let response = handler(Request(method: "GET", target: "/r" + query))
        #expect(response.status == status)
        return String(decoding: response.body, as: UTF8.self)
    }

    @Test("Cardinality names the family, its labels and the source, and what was refused")
    func cardinality() {
        let shown = text(service.handlers.cardinality, "?limit=1")
        #expect(shown.contains(#""limits":{"total":100,"family":3,"source":500000,"families":20000}"#), "\(shown)")
        #expect(shown.contains(#""refused":{"total":0,"family":2,"source":0,"families":0}"#))
        #expect(shown.contains(#"{"name":"hits_total","type":"counter","series":3"#))
        #expect(shown.contains(#"{"name":"user","values":3,"example":"u\"0"}"#))
        #expect(shown.contains(#""sources":[{"name":"shop","series":3"#))
        #expect(!shown.contains(#""name":"x""#))
        #expect(text(service.handlers.cardinality, "?limit=1001", status: 400).contains("limit"))
    }

    @Test("Conflicts are listed")
    func conflicts() {
        let shown = text(service.handlers.conflicts)
        #expect(shown.contains(#""kept":"x","keptType":"gauge","renamed":"x_histogram","renamedType":"histogram""#))
        #expect(shown.contains(#""keys":1,"example":"x{k=\"v\"}""#), "\(shown)")
    }

    @Test("Top ranks families and series")
    func top() {
        let families = text(service.handlers.top)
        #expect(families.contains(#"{"name":"hits_total","type":"counter","labels":{},"series":4,"perSecond":10.0}"#))
        let series = text(service.handlers.top, "?by=series&name=hits&limit=1")
        #expect(series.contains(#""crest_overflow":"true","status":"200"}"#) && series.contains(#""active":4"#))
        #expect(text(service.handlers.top, "?by=colour", status: 400).contains("colour"))
        #expect(ledger.requestsRejected.counts.contains { $0.reason == .parameter && $0.count == 1 })
    }

    @Test("The overflow is on the scrape with its limit")
    func scrape() {
        let shown = text(service.handlers.scrape)
        #expect(shown.contains("hits_total{crest_overflow=\"true\",status=\"200\"} 4\n"))
        #expect(shown.contains("crest_series_overflowed_total{limit=\"family\"} 2\n"))
        #expect(shown.contains("crest_series_limit 100\n"))
    }
}
