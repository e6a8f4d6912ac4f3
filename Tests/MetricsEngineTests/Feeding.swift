import MetricsEngine
import Telemetry

/// Hands a sample to a shard the way a receiver does: register and bind on first sight.
func feed(
    _ shard: MetricsShard, _ engine: MetricsEngine, _ name: String, _ kind: MetricKind, _ value: Double = 0,
    weight: Double = 1, isDelta: Bool = false, tags: String = "", member: String = ""
) {
    let memberBytes = Array(member.utf8)
    let nameBytes = Array(name.utf8)
    let tagBytes = Array(tags.utf8)
    memberBytes.withUnsafeBytes { memberText in
        nameBytes.withUnsafeBytes { nameText in
            tagBytes.withUnsafeBytes { tagText in
                let samples = [
                    MetricSample(value: value, weight: weight, kind: kind, isDelta: isDelta, member: memberText)
                ]
                samples.withUnsafeBufferPointer { buffer in
                    while let missing = shard.record(name: nameText, tags: tagText, samples: buffer) {
                        let labels = tags.split(separator: ",").map { tag in
                            let parts = tag.split(separator: ":", maxSplits: 1)
                            return MetricLabel(String(parts[0]), parts.count > 1 ? String(parts[1]) : "true")
                        }
                        let series = engine.register(name: nameBytes, labels: labels, kind: missing)
                        shard.bind(name: nameText, tags: tagText, kind: missing, to: series)
                    }
                }
            }
        }
    }
}

/// What a scrape shows, as `name{labels}` to value; histograms by their count and sum.
func snapshot(_ engine: MetricsEngine, at seconds: Int64) -> [String: Double] {
    var values: [String: Double] = [:]
    var name = ""
    var kind = MetricFamilyKind.gauge
    engine.forEachSeries(nowNanoseconds: seconds * 1_000_000_000) { family in
        name = family.name
        kind = family.kind
    } series: { row in
        let labels = String(decoding: row.labels, as: UTF8.self)
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        if kind == .histogram {
            values["\(name)_count\(braces)"] = row.classic.reduce(0, +)
            values["\(name)_sum\(braces)"] = row.sum
        } else {
            values[(kind == .counter ? name + "_total" : name) + braces] = row.value
        }
    }
    return values
}

/// A small generator whose sequence depends on its seed alone.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
