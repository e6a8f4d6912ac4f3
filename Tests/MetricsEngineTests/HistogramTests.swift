import Foundation
import MetricsEngine
import Telemetry
import Testing

@Suite("Histograms")
struct HistogramTests {
    enum Shape: String, CaseIterable, Sendable {
        case logNormal, bimodal, heavyTail

        func draw(_ generator: inout SeededGenerator) -> Double {
            let uniform = Double.random(in: 1e-12..<1, using: &generator)
            let angle = Double.random(in: 0..<1, using: &generator)
            let normal = (-2 * log(uniform)).squareRoot() * cos(2 * .pi * angle)
            return switch self {
            case .logNormal: exp(normal)
            case .bimodal: angle < 0.9 ? 5 + normal * 0.3 : 900 + normal * 40
            case .heavyTail: 0.5 / pow(1 - uniform * 0.999_999, 1.2)
            }
        }
    }

    @Test("Quantiles are within 0.55 % of the sorted truth", arguments: Shape.allCases, [UInt64(1), 2, 3])
    func quantiles(shape: Shape, seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let engine = MetricsEngine()
        let shards = [engine.makeShard(), engine.makeShard()]
        var truth: [Double] = []
        for second in 0..<20 {
            for index in 0..<1_000 {
                let value = shape.draw(&generator)
                truth.append(value)
                feed(shards[index % 2], engine, "t", .histogram, value)
            }
            for shard in shards { shard.flush(nowNanoseconds: Int64(second) * 1_000_000_000) }
            engine.advance(nowNanoseconds: Int64(second) * 1_000_000_000)
        }
        truth.sort()
        for quantile in [0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1] {
            let rank = max(Int((quantile * Double(truth.count)).rounded(.up)), 1) - 1
            for window in [nil, 60] {
                let answer = engine.query(
                    SeriesSelector(name: "t"), quantile: quantile, lastSeconds: window,
                    nowNanoseconds: 20_000_000_000)
                let error = abs((answer.quantile ?? 0) - truth[rank]) / truth[rank]
                #expect(error <= 0.0055, "\(shape) seed \(seed) q \(quantile): \(error)")
                #expect(answer.observations == Double(truth.count))
            }
        }
    }

    @Test("Classic buckets are exact, upper bounds inclusive")
    func classic() {
        var generator = SeededGenerator(seed: 11)
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        let bounds = ClassicBuckets.durations.bounds
        var values: [Double] = [0, 1e-300, 1e300]
        for bound in bounds { values += [bound, bound.nextUp, bound.nextDown] }
        values += (0..<1_000).map { _ in pow(10, Double.random(in: -4...2, using: &generator)) }
        for value in values { feed(shard, engine, "t_seconds", .histogram, value) }
        shard.flush(nowNanoseconds: 0)
        var counts: [Double] = []
        engine.forEachSeries(nowNanoseconds: 0) { _ in
        } series: {
            counts = $0.classic
        }
        var below = 0.0
        for (index, bound) in bounds.enumerated() {
            below += counts[index]
            #expect(below == Double(values.count { $0 <= bound }), "le \(bound)")
        }
        #expect(counts.reduce(0, +) == Double(values.count))
    }

    @Test("A value sent at a rate weighs 1 / rate", arguments: [0.1, 0.15, 0.3, 1.0 / 3, 1e-3, 1e-6])
    func weights(rate: Double) {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        for _ in 0..<300 { feed(shard, engine, "t", .timer, 250, weight: 1 / rate) }
        shard.flush(nowNanoseconds: 0)
        let shown = snapshot(engine, at: 0)
        let expected = 300 / rate
        #expect(abs((shown["t_seconds_count"] ?? 0) - expected) <= expected * 1e-12)
        #expect(abs((shown["t_seconds_sum"] ?? 0) - expected * 0.25) <= expected * 1e-12)
        let answer = engine.query(
            SeriesSelector(name: "t_seconds"), quantile: 0.5, lastSeconds: 60, nowNanoseconds: 0)
        #expect(abs(answer.observations - expected) <= expected * 1e-12)
        #expect(answer.quantile == 0.25)
    }

    @Test("Values over the whole range of a double keep the table bounded and the quantiles ordered")
    func range() {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        for exponent in stride(from: -1_074, through: 1_023, by: 1) {
            for step in 0..<4 {
                let value = Double(sign: .plus, exponent: max(exponent, -1_022), significand: 1 + Double(step) / 4)
                feed(shard, engine, "t", .histogram, value)
            }
        }
        feed(shard, engine, "t", .histogram, 0)
        feed(shard, engine, "t", .histogram, -5)
        shard.flush(nowNanoseconds: 0)
        var last = -Double.infinity
        for quantile in stride(from: 0.0, through: 1, by: 0.05) {
            let value = engine.query(SeriesSelector(name: "t"), quantile: quantile, nowNanoseconds: 0).quantile ?? .nan
            #expect(value >= last, "q \(quantile)")
            last = value
        }
        #expect(snapshot(engine, at: 0)["t_count"] == Double(2_098 * 4 + 2))
    }
}
