internal import Telemetry

/// Gathers the changes of one OTLP or remote write request as a closed second, the form in which the store takes
/// everything.
struct PointWindow {
    let second: Int64
    private var scalars: [ScalarChange] = []
    private var histograms = HistogramSecond()
    private var classicCounts: [Double] = []
    private var exemplars: [SeriesExemplar] = []
    private var starts: [UInt32: Int64] = [:]

    init(second: Int64) { self.second = second }

    /// - Parameter streams: what the request has changed of the cumulative streams.
    func closed(_ streams: [StreamChange]) -> ClosedWindow {
        ClosedWindow(
            second: second, scalars: scalars, histograms: histograms, classicCounts: classicCounts, sets: [],
            exemplars: exemplars, starts: starts, streams: streams)
    }

    mutating func note(_ point: MetricPoint, on series: UInt32) {
        note(point.exemplars[...], start: point.start, on: series)
    }

    /// - Parameter start: Unix nanoseconds since which the series counts; 0: unknown.
    mutating func note(_ exemplars: ArraySlice<Exemplar>, start: UInt64, on series: UInt32) {
        for exemplar in exemplars { self.exemplars.append(SeriesExemplar(series: series, exemplar: exemplar)) }
        let start = Int64(clamping: start)
        guard start > 0, start / 1_000_000_000 <= second else { return }
        starts[series] = min(starts[series] ?? .max, max(start / 1_000_000_000, 1))
    }

    mutating func set(_ value: Double, on series: UInt32) {
        scalars.append(ScalarChange(value: value, series: series, isLevel: true))
    }

    mutating func add(_ value: Double, to series: UInt32) {
        scalars.append(ScalarChange(value: value, series: series, isLevel: false))
    }

    /// Adds counts by explicit bounds. The exponential buckets, for quantiles of what happens now, are an estimate:
    /// each count is spread evenly over its bucket.
    mutating func add(_ point: ExplicitPoint, to series: UInt32, buckets layout: ClassicBuckets) {
        let counts = point.counts.isEmpty ? [Double(point.count)] : point.counts.map { Double($0) }
        let source = point.counts.isEmpty ? [] : point.bounds
        let bounds = layout.bounds
        var classic = Array(repeating: 0.0, count: bounds.count + 1)
        ClassicFolding.add(counts[...], of: source, to: &classic, of: bounds)
        var estimate = ExponentialBuckets()
        for (index, count) in counts.enumerated() where count > 0 {
            let top = index < source.count ? source[index] : point.greatest ?? source.last ?? 0
            let bottom = index > 0 ? source[index - 1] : min(point.least ?? 0, top)
            Self.spread(count, from: bottom, to: max(top, bottom), into: &estimate)
        }
        append(
            series, layout, sum: point.sum, least: point.least, greatest: point.greatest, classic: classic, estimate,
            isEstimate: true)
    }

    private static func spread(
        _ count: Double, from bottom: Double, to top: Double, into buckets: inout ExponentialBuckets
    ) {
        let slices = 16
        for slice in 1...slices {
            let value = bottom + (top - bottom) * (Double(slice) - 0.5) / Double(slices)
            buckets.add(count / Double(slices), at: ExponentialIndex.shared.index(of: value))
        }
    }

    /// Adds exponential buckets, which stay what they are; the classic ones are made of them.
    mutating func add(_ point: ExponentialPoint, to series: UInt32, buckets layout: ClassicBuckets) {
        let coarse = point.downscaled(by: point.scale - ExponentialIndex.schema)
        var buckets = ExponentialBuckets(schema: coarse.scale)
        let edge =
            coarse.scale >= 0
            ? ExponentialIndex.largestExponent << coarse.scale : ExponentialIndex.largestExponent >> -coarse.scale
        if coarse.zeroCount > 0 {
            buckets.add(Double(coarse.zeroCount), at: ExponentialIndex.zeroIndex, ofSchema: coarse.scale)
        }
        for (position, count) in coarse.counts.enumerated() where count > 0 {
            // OTLP counts buckets from the one above 1, Prometheus from the one up to 1.
            let index = coarse.offset &+ position &+ 1
            let kept = index < -edge ? ExponentialIndex.zeroIndex : Int16(clamping: min(index, edge))
            buckets.add(Double(count), at: kept, ofSchema: coarse.scale)
        }
        let bounds = layout.bounds
        var classic = Array(repeating: 0.0, count: bounds.count + 1)
        ClassicFolding.add(buckets.native(schema: ExponentialIndex.schema), to: &classic, of: bounds)
        append(
            series, layout, sum: point.sum, least: point.least, greatest: point.greatest, classic: classic, buckets,
            isEstimate: false)
    }

    private mutating func append(
        _ series: UInt32, _ layout: ClassicBuckets, sum: Double, least: Double?, greatest: Double?, classic: [Double],
        _ buckets: borrowing ExponentialBuckets, isEstimate: Bool
    ) {
        let part = HistogramSecond.Part(
            sum: sum, least: least ?? -.infinity, greatest: greatest ?? .infinity, series: series, firstWord: 0,
            bucketCount: 0, schema: 0, isWide: false, layout: layout.rawValue, isEstimate: isEstimate)
        histograms.append(part, buckets: buckets)
        classicCounts.append(contentsOf: classic)
    }
}
