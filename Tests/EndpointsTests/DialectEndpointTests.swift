import Endpoints
import MetricsEngine
import Synchronization
import Telemetry
import Testing
import WireFormats

@Suite("Dialects, rules and explanations")
struct DialectEndpointTests {
    private let ledger = Ledger()

    private func service(_ rules: MappingRules) -> MetricsService {
        MetricsService(ledger: ledger, now: { 1_790_000_000_000_000_000 }, dialect: StatsDDialect(rules: rules))
    }

    private func rules(
        _ mappings: [MappingRule] = [], relabel: [RelabelRule] = []
    ) -> MappingRules {
        var rules = MappingRules()
        rules.add(mappings)
        rules.relabelling = relabel
        return rules
    }

    private func relabel(
        _ action: RelabelRule.Action, _ source: [String], _ regex: String, _ target: String? = nil,
        _ replacement: String = "$1"
    ) throws -> RelabelRule {
        try RelabelRule(
            action, sourceLabels: source, separator: ";", regex: regex, targetLabel: target,
            replacement: replacement, place: "test:1")
    }

    private func scrape(_ service: MetricsService) -> [Substring] {
        let response = service.handlers.scrape(Request(method: "GET", target: "/metrics"))
        return String(decoding: response.body, as: UTF8.self).split(separator: "\n")
    }

    private func text(_ response: Response) -> String { String(decoding: response.body, as: UTF8.self) }

    @Test("A rule renames, labels, scales and counts a timer, once for each key")
    func mapping() throws {
        var rule = try MappingRule("http.*.requests", style: .glob, place: "m.yaml:1")
        rule.name = try MappingTemplate("http_request_duration_seconds", groupNames: rule.groupNames)
        rule.countName = try MappingTemplate("http_requests_total", groupNames: rule.groupNames)
        rule.labels = [("job", try MappingTemplate("$1", groupNames: rule.groupNames))]
        rule.tags = [("uri", "route")]
        rule.buckets = [0.1, 1]
        rule.isMilliseconds = true
        let service = service(rules([rule]))
        for _ in 0..<2 {
            let report = service.receive(
                body: Array("http.server.requests:250|d|@0.5|#uri:/a,x:y\nhttp.server.requests:3|ms|#uri:/a".utf8))
            #expect(report.accepted == 2)
        }
        let lines = scrape(service)
        for line in [
            #"http_requests_total{job="server",route="/a"} 6"#,
            #"http_request_duration_seconds_bucket{job="server",route="/a",le="0.1"} 2"#,
            #"http_request_duration_seconds_bucket{job="server",route="/a",le="1.0"} 6"#,
            #"http_request_duration_seconds_sum{job="server",route="/a"} 1.006"#,
        ] { #expect(lines.contains(Substring(line)), "\(line)") }
        #expect(!lines.contains { $0.contains("x=") })
    }

    @Test("Relabelling replaces, keeps, drops and renames as Prometheus does")
    func relabelling() throws {
        let service = service(
            rules(relabel: [
                try relabel(.drop, ["__name__"], "debug\\..*"),
                try relabel(.keep, ["__type__"], "counter|gauge"),
                try relabel(.replace, ["__name__", "region"], "(\\w+)\\.count;(..).*", "zone", "${2}_$1"),
                try relabel(.replace, ["__name__"], "(\\w+)\\.count", "__name__"),
                try relabel(.labelMap, [], "k8s_(.+)"),
                try relabel(.labelDrop, [], "k8s_.*|secret"),
                try relabel(.replace, ["region"], ".*", "region", ""),
            ]))
        let body = "order.count:1|c|#region:europe,k8s_pod:p,secret:s\ndebug.x:1|c\ndebug.x:1|c\nt:1|ms\nx:2|g:1|ms"
        let report = service.receive(body: Array(body.utf8))
        #expect(report.accepted == 2)
        #expect(report.rejected == [.droppedByRule: 3])
        let lines = scrape(service)
        #expect(lines.contains(#"order_total{pod="p",zone="eu_order"} 1"#))
        #expect(lines.contains("x 2"))
        #expect(!lines.contains { $0.hasPrefix("t_") || $0.hasPrefix("debug") || $0.hasPrefix("x_seconds") })
        #expect(lines.contains(#"crest_lines_rejected_total{reason="dropped_by_rule"} 3"#))
        #expect(ledger.linesSeen.load(ordering: .relaxed) == 5)
        #expect(ledger.linesApplied.load(ordering: .relaxed) == 2)
    }

    @Test("An explanation shows the steps, the series or the place of the fault, and records nothing")
    func explain() throws {
        var rule = try MappingRule("a.*", style: .glob, place: "m.yaml:7")
        rule.name = try MappingTemplate("b_$1", groupNames: rule.groupNames)
        let service = service(rules([rule]))
        let post = { (body: String) in
            text(service.handlers.explain(Request(method: "POST", target: "/x", body: Array(body.utf8))))
        }
        let mapped = post("a.x:1|c|#statistic:count,k:v")
        for part in [
            #""dialect":"dogstatsd""#, #""rule":"m.yaml:7: match a.*","name":"b_x""#, #""stage":"profile""#,
            #""name":"b_x_total","metricType":"counter""#, #""labels":{"k":"v"}"#, #""isKnown":false"#,
        ] { #expect(mapped.contains(part), "\(part) in \(mapped)") }
        #expect(post("x:12y|c").contains(#""reason":"bad_value","meaning":"#))
        #expect(post("x:12y|c").contains(#""offset":2"#))
        #expect(post("x:1|c|@7").contains(#""reason":"bad_rate""#))
        #expect(post("x:1|c|#:v").contains(#""reason":"bad_tag""#))
        #expect(post("_e{1,1}:a|b").contains(#""outcome":"event""#))
        #expect(service.engine.seriesCounts.series == 0)
        let get = service.handlers.explain(Request(method: "GET", target: "/x?line=a.x%3A1%7Cc"))
        #expect(text(get).contains("b_x_total"))
        #expect(service.handlers.explain(Request(method: "GET", target: "/x")).status == 400)
    }

    @Test("The last rejected line of each reason is kept, cut and escaped")
    func rejects() {
        let service = service(MappingRules())
        _ = service.receive(body: Array("bad\u{1b}[2J\n\(String(repeating: "x", count: 9_000)):1|c\nx:1|q".utf8))
        _ = service.receive(body: Array("x:1|later".utf8))
        let answer = text(service.handlers.rejects(Request(method: "GET", target: "/x")))
        #expect(answer.contains(#""reason":"no_colon""#))
        #expect(answer.contains(#"bad\u001b[2J"#) || answer.contains(#"bad\u001B[2J"#))
        #expect(answer.contains(#""line":"x:1|later","bytes":9,"isCut":false"#))
        #expect(answer.contains(#""bytes":9004,"isCut":true"#))
        #expect(answer.utf8.count < 2_000)
    }
}
