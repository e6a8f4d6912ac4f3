/// The histogram seconds of the last minute, for quantiles of what happens now.
///
/// Bounded twice: by age and by bytes. When the bytes are reached the oldest seconds go first, and it is counted.
struct LiveWindows {
    private struct Kept {
        var second: Int64
        /// Parts by ascending series.
        var histograms: HistogramSecond
    }

    static let seconds: Int64 = 60

    private let byteLimit: Int
    private var kept: [Kept] = []
    private var bytes = 0
    /// Seconds that went before their time.
    private(set) var evicted: UInt64 = 0

    init(byteLimit: Int = 32 << 20) { self.byteLimit = byteLimit }

    mutating func append(_ histograms: HistogramSecond, second: Int64) {
        guard !histograms.parts.isEmpty else { return }
        var histograms = histograms
        histograms.parts.sort { $0.series < $1.series }
        bytes += histograms.bytes
        kept.append(Kept(second: second, histograms: histograms))
        var first = 0
        while first < kept.count, bytes > byteLimit {
            bytes -= kept[first].histograms.bytes
            first += 1
            evicted += 1
        }
        kept.removeFirst(first)
    }

    /// Forgets what is older than a minute.
    mutating func expire(nowSecond: Int64) {
        var first = 0
        while first < kept.count, kept[first].second < nowSecond - Self.seconds {
            bytes -= kept[first].histograms.bytes
            first += 1
        }
        kept.removeFirst(first)
    }

    /// Adds what `series` recorded in seconds `from...` to `merged`.
    func merge(_ series: UInt32, from: Int64, into merged: inout ExponentialBuckets, extent: inout ValueExtent) {
        for second in kept where second.second >= from {
            let parts = second.histograms.parts
            var low = 0
            var high = parts.count
            while low < high {
                let middle = (low + high) / 2
                if parts[middle].series < series { low = middle + 1 } else { high = middle }
            }
            while low < parts.count, parts[low].series == series {
                second.histograms.merge(parts[low], into: &merged)
                extent.include(parts[low].least)
                extent.include(parts[low].greatest)
                low += 1
            }
        }
    }
}

/// The least and the greatest value seen.
struct ValueExtent: Sendable {
    var least = Double.infinity
    var greatest = -Double.infinity

    mutating func include(_ value: Double) {
        least = min(least, value)
        greatest = max(greatest, value)
    }

    func clamp(_ value: Double) -> Double { least > greatest ? value : min(max(value, least), greatest) }
}
