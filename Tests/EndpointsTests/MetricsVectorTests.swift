import Endpoints
import Foundation
import Telemetry
import Testing
import WireFormats

@Suite("StatsD vectors")
struct MetricsVectorTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "schemas/vectors/statsd")

    static let cases: [String] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasSuffix(".case") }.sorted()
    }()

    @Test("There are vectors")
    func present() { #expect(Self.cases.count >= 10) }

    @Test("Lines as sent come out as the vector says", arguments: cases)
    func vector(name: String) throws {
        let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        let rule = try #require(text.range(of: #"\n----.*\n"#, options: .regularExpression))
        var settings: [String: String] = [:]
        for word in text[rule].split(whereSeparator: { $0.isWhitespace }).dropFirst() {
            let pair = word.split(separator: "=").map(String.init)
            settings[pair[0]] = pair.last
        }
        let dialect = StatsDDialect(
            profile: try #require(StatsDProfile(rawValue: settings["profile"] ?? "auto")),
            gaugeSign: try #require(StatsDDialect.GaugeSign(rawValue: settings["sign"] ?? "auto")))
        let service = MetricsService(ledger: Ledger(), now: { 1_790_000_000_000_000_000 }, dialect: dialect)
        _ = service.receive(body: Array(text[..<rule.lowerBound].utf8))
        let response = service.handlers.scrape(Request(method: "GET", target: "/metrics"))
        let shown = String(decoding: response.body, as: UTF8.self).components(separatedBy: "\n").filter {
            !$0.isEmpty && !$0.hasPrefix("#") && !$0.hasPrefix("crest_") && !$0.hasPrefix("process_")
                && !$0.contains("_bucket{")
        }
        #expect(Set(shown) == Set(text[rule.upperBound...].components(separatedBy: "\n").filter { !$0.isEmpty }))
    }
}
