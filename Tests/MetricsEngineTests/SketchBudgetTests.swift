import MetricsEngine
import Telemetry
import Testing

@Suite("Sketch budget")
struct SketchBudgetTests {
    @Test("Sets beyond the number of sketches stay at their first members, and the rest is counted")
    func capped() {
        let engine = MetricsEngine(distinctSketches: 2)
        let shard = engine.makeShard()
        for index in 0..<4 {
            let series = engine.register(name: Array("s\(index)".utf8), labels: [], kind: .set)
            for member in 0..<300 {
                let bytes = Array("m\(member)".utf8)
                bytes.withUnsafeBytes {
                    shard.record(MetricSample(value: 0, weight: 1, kind: .set, member: $0), to: series)
                }
            }
        }
        #expect(engine.distinctSketches == 2)
        #expect(engine.untakenMembers == 2 * 44)
        shard.flush(nowNanoseconds: 1_000_000_000_000)
        let answer = engine.query(SeriesSelector(), nowNanoseconds: 1_000_000_000_000)
        let counts = answer.series.map(\.value).sorted()
        #expect(counts.count == 4)
        #expect(counts.prefix(2).allSatisfy { $0 == 256 })
        #expect(counts.suffix(2).allSatisfy { abs($0 - 300) < 12 })
        engine.advance(nowNanoseconds: 1_060_000_000_000)
        #expect(engine.distinctSketches == 0)
    }
}
