import Endpoints
import Foundation
import Telemetry
import Testing

@Suite("StatsD vectors")
struct MetricsVectorTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "schemas/vectors/statsd")

    static let cases: [String] = {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasSuffix(".case") }.sorted()
    }()

    @Test("There are vectors")
    func present() { #expect(Self.cases.count >= 5) }

    @Test("Lines as sent come out as the vector says", arguments: cases)
    func vector(name: String) throws {
        let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
        let parts = text.components(separatedBy: "\n----\n")
        try #require(parts.count == 2)
        let service = MetricsService(ledger: Ledger(), now: { 1_790_000_000_000_000_000 })
        _ = service.receive(body: Array(parts[0].utf8))
        let response = service.handlers.scrape(Request(method: "GET", target: "/metrics"))
        let shown = String(decoding: response.body, as: UTF8.self).components(separatedBy: "\n").filter {
            !$0.isEmpty && !$0.hasPrefix("#") && !$0.hasPrefix("crest_") && !$0.hasPrefix("process_")
                && !$0.contains("_bucket{")
        }
        #expect(Set(shown) == Set(parts[1].components(separatedBy: "\n").filter { !$0.isEmpty }))
    }
}
