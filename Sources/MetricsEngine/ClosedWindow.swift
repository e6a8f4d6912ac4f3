internal import Telemetry

/// What one shard gathered in one second, ready to be merged. Immutable once it is in a ``WindowQueue``.
final class ClosedWindow: Sendable {
    /// Unix second in which the window was opened.
    let second: Int64
    let scalars: [ScalarChange]
    let histograms: HistogramSecond
    /// Per histogram of `histograms`, in its order: the classic counts, one layout after the other.
    let classicCounts: [Double]
    let sets: [(series: UInt32, members: DistinctSet)]
    /// Lines behind it.
    let lines: UInt64
    let exemplars: [SeriesExemplar]
    /// Exemplars that the window had no room for.
    let droppedExemplars: UInt64
    /// Gauges that were set to more than one value. Only the recorder asks for it, and no log keeps it.
    let spreads: [GaugeSpread]
    /// Unix second from which a series that is new counts, where the sender told.
    let starts: [UInt32: Int64]
    /// The last points of cumulative streams, which go to the log together with what they have changed.
    let streams: [StreamChange]

    init(
        second: Int64, scalars: [ScalarChange], histograms: HistogramSecond, classicCounts: [Double],
        sets: [(series: UInt32, members: DistinctSet)], lines: UInt64 = 0, exemplars: [SeriesExemplar] = [],
        spreads: [GaugeSpread] = [], starts: [UInt32: Int64] = [:], streams: [StreamChange] = [],
        droppedExemplars: UInt64 = 0
    ) {
        self.droppedExemplars = droppedExemplars
        self.streams = streams
        self.spreads = spreads
        self.lines = lines
        self.second = second
        self.scalars = scalars
        self.histograms = histograms
        self.classicCounts = classicCounts
        self.sets = sets
        self.exemplars = exemplars
        self.starts = starts
    }
}

/// The least and the greatest value that a gauge was set to in a window.
struct GaugeSpread: Sendable {
    var series: UInt32
    var least: Double
    var greatest: Double
}

/// An exemplar on its way to the bucket of its value.
struct SeriesExemplar: Sendable {
    var series: UInt32
    var exemplar: Exemplar
    /// Of ``SpanTargets`` when it is a span that stands for somebody else's observation; 0: the window's own.
    var epoch: UInt32 = 0
}

/// One counter's or gauge's change in a window.
struct ScalarChange: Sendable {
    var value: Double
    var series: UInt32
    /// Replaces the value instead of adding to it.
    var isLevel: Bool
}

/// The histograms of one second: one part a series, their buckets packed one after the other.
///
///     narrow bucket: | index i16 | count u16 |                      when all counts of the part are whole and small
///     wide bucket:   | index i16 | 0 u16 | weight f64, low u32 | high u32 |
struct HistogramSecond: Sendable {
    struct Part: Sendable {
        var sum: Double
        var least: Double
        var greatest: Double
        var series: UInt32
        var firstWord: UInt32
        var bucketCount: UInt16
        var schema: Int8
        var isWide: Bool
        /// A ``ClassicBuckets``.
        var layout: UInt8
        /// The buckets are estimates, made of classic counts.
        var isEstimate = false
    }

    var parts: [Part] = []
    var words: [UInt32] = []

    var bytes: Int { parts.count * MemoryLayout<Part>.stride + words.count * 4 }

    /// Appends a series' buckets.
    /// - Parameter unit: what one in them stands for.
    mutating func append(_ part: Part, buckets: borrowing ExponentialBuckets, unit: Double = 1) {
        var isWide = false
        buckets.forEach { _, count in
            let weight = count * unit
            if weight != weight.rounded(.towardZero) || weight > 65_535 { isWide = true }
        }
        var part = part
        part.firstWord = UInt32(truncatingIfNeeded: words.count)
        part.bucketCount = UInt16(truncatingIfNeeded: buckets.occupied)
        part.schema = Int8(truncatingIfNeeded: buckets.schema)
        part.isWide = isWide
        var added = words
        words = []
        buckets.forEach { index, count in
            let weight = count * unit
            let key = UInt32(UInt16(bitPattern: index)) << 16
            if isWide {
                added.append(key)
                added.append(UInt32(truncatingIfNeeded: weight.bitPattern))
                added.append(UInt32(truncatingIfNeeded: weight.bitPattern >> 32))
            } else {
                added.append(key | UInt32(weight))
            }
        }
        words = added
        parts.append(part)
    }

    /// Appends a series' buckets as a list.
    mutating func append(_ part: Part, buckets: [(index: Int16, weight: Double)]) {
        var part = part
        part.firstWord = UInt32(truncatingIfNeeded: words.count)
        part.bucketCount = UInt16(truncatingIfNeeded: buckets.count)
        part.isWide = buckets.contains { $0.weight != $0.weight.rounded(.towardZero) || !(0...65_535 ~= $0.weight) }
        for bucket in buckets {
            let key = UInt32(UInt16(bitPattern: bucket.index)) << 16
            if part.isWide {
                words.append(key)
                words.append(UInt32(truncatingIfNeeded: bucket.weight.bitPattern))
                words.append(UInt32(truncatingIfNeeded: bucket.weight.bitPattern >> 32))
            } else {
                words.append(key | UInt32(bucket.weight))
            }
        }
        parts.append(part)
    }

    /// Visits a part's buckets.
    func forEachBucket(of part: Part, _ body: (_ index: Int16, _ weight: Double) -> Void) {
        var word = Int(part.firstWord)
        for _ in 0..<Int(part.bucketCount) {
            let index = Int16(bitPattern: UInt16(truncatingIfNeeded: words[word] >> 16))
            if part.isWide {
                let bits = UInt64(words[word + 1]) | UInt64(words[word + 2]) << 32
                body(index, Double(bitPattern: bits))
                word += 3
            } else {
                body(index, Double(words[word] & 0xffff))
                word += 1
            }
        }
    }

    /// Adds a part's buckets to `target`.
    func merge(_ part: Part, into target: inout ExponentialBuckets) {
        forEachBucket(of: part) { target.add($1, at: $0, ofSchema: Int(part.schema)) }
    }
}
