import MetricsEngine
import Telemetry
import Testing

@Suite("Native histograms")
struct NativeHistogramTests {
    private func native(_ engine: MetricsEngine, schema: Int) -> (NativeBuckets?, [Double]) {
        var result: (NativeBuckets?, [Double]) = (nil, [])
        engine.forEachSeries(nowNanoseconds: 0) { _ in
        } series: {
            result = ($0.nativeBuckets(schema: schema), $0.classic)
        }
        return result
    }

    @Test("Merge and downscale commute, and the count is the sum of the buckets", arguments: [UInt64(1), 2, 3, 4])
    func commute(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let whole = MetricsEngine()
        let parts = [MetricsEngine(), MetricsEngine()]
        let shard = whole.makeShard()
        let shards = parts.map { $0.makeShard() }
        for index in 0..<2_000 {
            let value =
                Double.random(in: 0...1, using: &generator) < 0.05
                ? 0 : Double.random(in: 1e-4...2_000, using: &generator)
            feed(shard, whole, "t", .histogram, value)
            feed(shards[index % 2], parts[index % 2], "t", .histogram, value)
        }
        for each in shards + [shard] { each.flush(nowNanoseconds: 0) }
        for schema in [6, 5, 4, 3, 0] {
            let (merged, classic) = native(whole, schema: schema)
            let joined = try #require(merged)
            var weights: [Int: Double] = [:]
            var zero = 0.0
            for part in parts {
                let half = try #require(native(part, schema: schema).0)
                #expect(half.schema == schema)
                zero += half.zeroWeight
                for bucket in half.buckets { weights[bucket.index, default: 0] += bucket.weight }
            }
            #expect(joined.zeroWeight == zero, "seed \(seed), schema \(schema)")
            #expect(
                Dictionary(uniqueKeysWithValues: joined.buckets.map { ($0.index, $0.weight) }) == weights,
                "seed \(seed), schema \(schema)")
            let total = joined.buckets.reduce(joined.zeroWeight) { $0 + $1.weight }
            #expect(total == classic.reduce(0, +) && total == 2_000)
        }
    }
}
