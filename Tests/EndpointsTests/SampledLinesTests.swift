import Endpoints
import Telemetry
import Testing

@Suite("Sampled lines")
struct SampledLinesTests {
    /// The sample of a series in a scrape, as text.
    private func shown(_ service: MetricsService, _ series: String) -> Double? {
        let text = String(
            decoding: service.handlers.scrape(Request(method: "GET", target: "/metrics")).body, as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
    }

    @Test(
        "1,000,000 lines at a rate: the count is exact to the nearest double, however the seconds cut them",
        arguments: [("0.15", 1_000_000 / 0.15), ("0.3", 1_000_000 / 0.3), ("0.1", 10_000_000)], [UInt64(1), 2])
    func million(rate: (text: String, count: Double), seed: UInt64) {
        let service = MetricsService(ledger: Ledger(), now: { 1_790_000_100_000_000_000 })
        let receiver = service.makeReceiver()
        let lines = Array(repeating: "c:1|c|@\(rate.text)\nt:20|ms|@\(rate.text)", count: 100)
        let datagram = Array(lines.joined(separator: "\n").utf8)
        var second: UInt64 = 1_790_000_000
        var state = seed
        for _ in 0..<10_000 {
            datagram.withUnsafeBytes { receiver.receive(datagram: $0) }
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            guard state >> 33 % 1_000 == 0 else { continue }
            second += 1
            receiver.tick(nowNanoseconds: second * 1_000_000_000)
            service.advance()
        }
        receiver.tick(nowNanoseconds: (second + 1) * 1_000_000_000)
        service.advance()
        #expect(shown(service, "c_total") == rate.count, "seed \(seed)")
        #expect(shown(service, "t_seconds_count") == rate.count, "seed \(seed)")
    }

    @Test("Several rates and whole increments beside each other: exact to the nearest double as well")
    func mixed() {
        let service = MetricsService(ledger: Ledger(), now: { 1_790_000_100_000_000_000 })
        let receiver = service.makeReceiver()
        let datagram = Array("c:1|c|@0.15\nc:1|c\nc:1|c|@0.3\nc:2|c|@0.7".utf8)
        for index in 0..<100_000 {
            datagram.withUnsafeBytes { receiver.receive(datagram: $0) }
            guard index % 7_000 == 0 else { continue }
            receiver.tick(nowNanoseconds: UInt64(1_790_000_000 + index) * 1_000_000_000)
            service.advance()
        }
        receiver.tick(nowNanoseconds: 1_790_000_099_000_000_000)
        service.advance()
        let truth = 100_000 / 0.15 + 100_000 + 100_000 / 0.3 + 200_000 / 0.7
        let found = shown(service, "c_total") ?? 0
        #expect(abs(found - truth) <= truth.ulp, "\(found) for \(truth)")
    }
}
