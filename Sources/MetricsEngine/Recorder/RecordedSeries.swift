internal import Telemetry

/// A counter's or gauge's second.
package struct RecordedScalar: Hashable, Sendable {
    /// Unix second.
    package var second: Int64
    /// Counters: what was added in it. Gauges: the last value.
    package var value: Double
    /// Gauges: the least and the greatest value of the second.
    package var least: Double
    package var greatest: Double
}

/// A histogram's second.
package struct RecordedHistogram: Hashable, Sendable {
    package struct Bucket: Hashable, Sendable {
        package var index: Int16
        package var weight: Double
    }

    package var second: Int64
    package var sum: Double
    package var least: Double
    package var greatest: Double
    /// Counts by the family's bounds, the last above all of them; not cumulative.
    package var classic: [Double]
    package var schema: Int8
    /// By ascending index, as `ExponentialIndex` numbers them.
    package var buckets: [Bucket]
    package var isEstimate = false

    package var count: Double { classic.reduce(0, +) }
}

/// What one block holds of a series.
package struct RecordedPiece: Sendable {
    /// The block's number and its first second.
    package var block: UInt64
    package var first: Int64
    /// The total, or a gauge's value, before the block; nil when there was none.
    package var base: Double?
    package var scalars: [RecordedScalar] = []
    package var baseSum = 0.0
    package var baseClassic: [Double] = []
    package var histograms: [RecordedHistogram] = []

    init(_ facts: RecorderBlockFacts) {
        block = facts.number
        first = facts.first
    }

    var valueCount: Int { scalars.count + histograms.count }
}

/// A series as recorded: who it is, and its blocks in order.
package struct RecordedSeries: Sendable {
    /// Without `_total` for counters.
    package var family: String
    package var kind: MetricFamilyKind
    /// As between the braces of a sample line.
    package var labelText: [UInt8]
    package var bounds: [Double]
    package var pieces: [RecordedPiece]

    package var labels: [(name: String, value: String)] { labelText.withUnsafeBytes { MetricNaming.labels(of: $0) } }

    /// Every name that the series' samples have on a scrape; the first is that of its value.
    package var sampleNames: [String] { Self.sampleNames(of: family, kind) }

    static func sampleNames(of family: String, _ kind: MetricFamilyKind) -> [String] {
        switch kind {
        case .counter: [family + "_total"]
        case .gauge, .distinct: [family]
        case .histogram: [family + "_bucket", family + "_sum", family + "_count"]
        }
    }
}
