import Endpoints
import Foundation
import MetricsEngine
import SegmentStore
import Synchronization
import Telemetry
import TestKit
import Testing

/// Metrics, their log and the recorder over a simulated disk and a clock that moves by hand.
private final class RecordingDaemon {
    let clock: ManualClock
    let disk: SimulatedDisk
    let service: MetricsService
    let log: MetricsLog
    let recorder: MetricsRecorder

    init(_ disk: SimulatedDisk, _ clock: ManualClock) throws {
        (self.disk, self.clock) = (disk, clock)
        let holder = Holder()
        service = MetricsService(ledger: Ledger(), now: { clock.now }, recorder: { holder.recorder.withLock { $0 } })
        var settings = StoreConfiguration(wallClock: { clock.now })
        settings.runsThreads = false
        recorder = try MetricsRecorder.open(
            disk, source: service.engine, retention: RecorderRetention(), configuration: settings)
        holder.recorder.withLock { [recorder] in $0 = recorder }
        log = try MetricsLog.open(
            disk, source: service, tally: LineTally(), configuration: settings, recorder: recorder)
    }

    private final class Holder: Sendable {
        let recorder = Mutex<MetricsRecorder?>(nil)
    }

    /// One second in which these lines come.
    func second(_ lines: String) {
        if !lines.isEmpty { _ = service.receive(body: Array(lines.utf8)) }
        clock.advance(seconds: 1)
        log.step()
        recorder.step()
    }

    func range(_ query: String) throws -> (status: Int, body: [String: Any]) {
        let request = Request(method: "GET", target: "/api/crest/v1/series/range?\(query)")
        let response = service.handlers.seriesRange(request, QueryBudget())
        let json = try JSONSerialization.jsonObject(with: Data(response.body))
        return (response.status, json as? [String: Any] ?? [:])
    }

    /// A column of the one series that matches.
    func column(_ name: String, _ query: String) throws -> [Double] {
        let answer = try range(query)
        let series = try #require((answer.body["series"] as? [[String: Any]])?.first, "\(answer)")
        return (series[name] as? [NSNumber] ?? []).map(\.doubleValue)
    }
}

@Suite("GET /api/crest/v1/series/range")
struct RecorderEndpointTests {
    private let start: UInt64 = 1_700_000_000

    private func daemon(_ disk: SimulatedDisk = SimulatedDisk()) throws -> RecordingDaemon {
        try RecordingDaemon(disk, ManualClock(start * 1_000_000_000))
    }

    @Test("Every second comes back: from memory, from segments, after a restart and after a crash")
    func everySecond() throws {
        let daemon = try daemon()
        for second in 0..<150 { daemon.second("orders:\(second + 1)|c\ntemp:\(second).5|g\n") }
        #expect(daemon.recorder.counts.segments == 2)
        let query = "name=orders_total&from=\(start)&to=\(start + 149)"
        let expected = (1...150).map { Double($0) }
        #expect(try daemon.column("delta", query) == expected)
        #expect(try daemon.column("total", query).last == 11_325)
        #expect(try daemon.column("time", query) == (0..<150).map { Double(start) + Double($0) })

        // What no segment has yet comes out of the metrics log, and nothing twice.
        let crashed = try RecordingDaemon(daemon.disk.crash(.powerLoss), daemon.clock)
        #expect(try crashed.column("delta", query) == expected)
        #expect(try crashed.column("total", query).last == 11_325)
        #expect(crashed.recorder.counts.segments == 3)
        daemon.clock.advance(seconds: 30)
        crashed.second("")
        crashed.second("orders:7|c\n")
        let gap = "name=orders_total&from=\(start)&to=\(start + 300)"
        #expect(try crashed.column("total", gap).last == 11_332)
        let covered = try crashed.range(gap).body["covered"] as? [[Int]]
        #expect(covered == [[Int(start), Int(start) + 149], [Int(start) + 181, Int(start) + 181]])

        #expect(crashed.log.close() && crashed.recorder.close())
        let restarted = try RecordingDaemon(crashed.disk.crash(.powerLoss), daemon.clock)
        #expect(try restarted.column("delta", gap) == expected + [7])
    }

    @Test("After a crash at any call every second that a scrape could show is recorded once")
    func crashes() throws {
        func work(_ disk: SimulatedDisk) -> RecordingDaemon? {
            guard let daemon = try? daemon(disk) else { return nil }
            for second in 0..<70 { daemon.second(second % 7 == 0 ? "n:1|c\n" : "") }
            return daemon
        }
        let whole = try #require(work(SimulatedDisk()))
        #expect(whole.recorder.counts.segments == 1)
        for call in stride(from: 1, through: whole.disk.callCount + 1, by: 1) {
            let disk = SimulatedDisk()
            disk.change { $0.crashAt = call }
            _ = work(disk)
            for kind: SimulatedDisk.Crash in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] {
                let next = try RecordingDaemon(disk.crash(kind), ManualClock((start + 100) * 1_000_000_000))
                let context = "call \(call), \(kind), \(next.disk.paths)"
                let answer = next.service.engine.query(
                    SeriesSelector(name: "n"), nowNanoseconds: Int64(start + 100) * 1_000_000_000)
                let shown = answer.series.first?.value ?? 0
                let query = "name=n_total&from=\(start)&to=\(start + 100)"
                let found = (try next.range(query).body["series"] as? [[String: Any]])?.first
                let deltas = (found?["delta"] as? [NSNumber] ?? []).map(\.doubleValue)
                #expect(deltas.reduce(0, +) == shown, "\(context)")
                #expect(deltas.allSatisfy { $0 == 1 }, "\(context)")
            }
        }
    }

    @Test("Quantiles, extremes and larger steps")
    func histograms() throws {
        let daemon = try daemon()
        for second in 0..<20 {
            daemon.second((1...100).map { "load:\($0 + second)|ms\n" }.joined() + "stock:3|g\nstock:9|g\nstock:5|g\n")
        }
        let query = "name=load_seconds&from=\(start)&to=\(start + 19)&quantile=0.5,0.99"
        #expect(try daemon.column("count", query) == Array(repeating: 100, count: 20))
        #expect(try daemon.column("max", query).last == 0.119)
        let answer = try daemon.range(query)
        let series = try #require((answer.body["series"] as? [[String: Any]])?.first)
        let quantiles = try #require(series["quantiles"] as? [[String: Any]])
        let high = try #require(quantiles.last?["values"] as? [NSNumber]).map(\.doubleValue)
        for (second, value) in high.enumerated() { #expect(abs(value - Double(99 + second) / 1_000) < 0.0006) }
        #expect(try daemon.column("count", query + "&step=10s") == [1_000, 1_000])
        #expect(try daemon.column("min", "name=stock&from=\(start)&to=\(start)") == [3])
        #expect(try daemon.column("max", "name=stock&from=\(start)&to=\(start)") == [9])
        #expect(try daemon.column("last", "name=stock&from=\(start)&to=\(start)") == [5])
    }

    @Test(
        "A bad parameter is a 400 that names it",
        arguments: [
            ("from=yesterday", "from"), ("to=1e9", "to"), ("from=200&to=100", "from"), ("step=0", "step"),
            ("step=1500ms", "step"), ("step=2", "step"), ("from=1000&to=13000", "step"), ("quantile=2", "quantile"),
            ("quantile=0.5,x", "quantile"), ("quantile=0,0,0,0,0,0,0,0,0", "quantile"), ("label=x", "label"),
            ("label==y", "label"), ("label=x=~(", "label"), ("limit=0", "limit"), ("limit=5000", "limit"),
        ])
    func refusals(query: String, parameter: String) throws {
        let answer = try daemon().range(query)
        let error = answer.body["error"] as? [String: Any]
        #expect(answer.status == 400)
        #expect(error?["parameter"] as? String == parameter, "\(answer)")
    }

    @Test("More series than the limit are refused, and labels narrow them down")
    func limits() throws {
        let daemon = try daemon()
        daemon.second((0..<20).map { "n:1|c|#i:\($0)\n" }.joined())
        #expect(try daemon.range("name=n_total&limit=19").status == 400)
        #expect(try daemon.range("name=n_total&limit=20").status == 200)
        let query = "name=n_total&limit=5&from=\(start)&to=\(start + 5)&label="
        #expect(try daemon.column("delta", query + "i=~1[0-3]") == [1])
        #expect((try daemon.range(query + "i:7").body["series"] as? [Any])?.count == 1)
        #expect((try daemon.range(query + "i:none").body["series"] as? [Any])?.count == 0)
        let off = MetricsService(ledger: Ledger(), now: { 1 })
        let request = Request(method: "GET", target: "/api/crest/v1/series/range?name=x")
        #expect(off.handlers.seriesRange(request, QueryBudget()).status == 404)
    }
}
