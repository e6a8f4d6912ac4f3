internal import Telemetry

/// Families and series that a store has not heard of yet.
struct SeriesNews: Sendable {
    var families: [MetricFamily] = []
    /// Of each family: its name before a suffix that settles a conflict.
    var keyNames: [String] = []
    /// With numbers that follow on those known.
    var series: [SeriesRegistry.Series] = []
    /// With numbers of series that were removed.
    var reused: [(id: UInt32, series: SeriesRegistry.Series)] = []
    /// Of these and of known ones.
    var lifetimes: [SeriesLifetime] = []
}

/// An expiry time that a rule has set for a series; 0: that of its type again.
struct SeriesLifetime: Sendable {
    var series: UInt32
    var seconds: Int64
}

/// The cumulative side of the engine: what Prometheus sees. Guarded by the engine's store lock, which no receiver takes.
struct MetricsStore: ~Copyable {
    /// A histogram series since the start.
    final class Histogram {
        var sum = 0.0
        var extent = ValueExtent()
        var classic: [Double]
        /// What rounding took from `classic`; empty as long as all is whole.
        private var remainders: [Double] = []
        var buckets: ExponentialBuckets
        /// Some of `buckets` are estimates made of classic counts, so they are no native histogram.
        var isEstimate = false

        init(bucketCount: Int) {
            classic = Array(repeating: 0, count: bucketCount)
            buckets = ExponentialBuckets(schema: MetricsStore.storedSchema, largestSlots: 2_048)
        }

        func add(_ weight: Double, toClassic index: Int) {
            if remainders.isEmpty {
                if weight == weight.rounded(.towardZero) {
                    classic[index] += weight
                    return
                }
                remainders = Array(repeating: 0, count: classic.count)
            }
            var sum = CompensatedSum(classic[index], remainder: remainders[index])
            sum.add(weight)
            classic[index] = sum.value
            remainders[index] = sum.remainder
        }
    }

    /// A set series: one set for each of the last ten seconds.
    private final class DistinctWindow {
        var seconds: [(second: Int64, members: DistinctSet)] = []
    }

    /// Worst-case error of a quantile: 0.54 %.
    static let storedSchema = 6
    static let distinctSeconds: Int64 = 10

    private(set) var families: [MetricFamily] = []
    /// Series of each family, in the order they came.
    var members: [[UInt32]] = []
    var series: [SeriesRegistry.Series] = []
    var values: [Double] = []
    /// What rounding took from the values of counters that do not count in whole numbers.
    private var remainders: [UInt32: Double] = [:]
    var hasValue: [Bool] = []
    /// Unix second from which each series counts, over all restarts: its sender's, or that of its first value; 0
    /// without one.
    var starts: [Int64] = []
    /// Which series are shown, and when they were updated.
    var expiry: SeriesExpiry
    var remembered = RememberedTotals(limit: Limits.rememberedTotals)
    var rates = RateMarks()
    var histograms: [UInt32: Histogram] = [:]
    private var distinct: [UInt32: DistinctWindow] = [:]
    private(set) var live = LiveWindows()
    var exemplars = ExemplarTable()
    var targets = SpanTargets()
    private(set) var nowSecond: Int64 = 0
    /// The seconds that the recorder has not written yet.
    var recording = Recording()

    init(expiry policy: ExpiryPolicy) { expiry = SeriesExpiry(policy) }

    var familyCount: Int { families.count }
    var seriesCount: Int { series.count }

    /// The bucket layout of a known series' family; nil when it is no histogram.
    func layout(of id: UInt32) -> UInt8? {
        isVacant(Int(id)) ? nil : families[Int(series[Int(id)].family)].buckets?.rawValue
    }

    /// Whether the number of a series that was removed is free.
    func isVacant(_ index: Int) -> Bool { series[index].isRemoved }

    /// Learns of the families and series that were registered since the last call.
    mutating func adopt(_ news: SeriesNews) {
        families.append(contentsOf: news.families)
        members.append(contentsOf: news.families.map { _ in [] })
        for entry in news.series {
            let id = UInt32(series.count)
            series.append(entry)
            values.append(0)
            hasValue.append(false)
            starts.append(0)
            if entry.isRemoved {
                expiry.appendVacancy()
            } else {
                members[Int(entry.family)].append(id)
                expiry.append(now: nowSecond)
                targets.add(id, entry, of: families[Int(entry.family)])
            }
        }
        for (id, entry) in news.reused where series[Int(id)].isRemoved {
            series[Int(id)] = entry
            members[Int(entry.family)].append(id)
            expiry.restart(id, now: nowSecond)
            targets.add(id, entry, of: families[Int(entry.family)])
        }
        for lifetime in news.lifetimes where Int(lifetime.series) < series.count {
            expiry.setLifetime(lifetime.seconds, of: lifetime.series)
        }
    }

    /// Notes a value of a series that must be known.
    private mutating func note(_ index: Int, in window: ClosedWindow, isState: Bool) {
        hasValue[index] = true
        let second = isState ? 0 : max(window.second, nowSecond)
        expiry.noteUpdate(UInt32(truncatingIfNeeded: index), second: second)
        if starts[index] == 0 { starts[index] = window.starts[UInt32(index)] ?? window.second }
    }

    /// Sets the first seconds of series from a checkpoint, before their values.
    mutating func restoreStarts(_ seconds: [Int64], from base: Int) {
        for (offset, second) in seconds.enumerated() where base + offset < starts.count {
            starts[base + offset] = second
        }
    }

    /// Merges one closed second, or totals of a checkpoint. All its series must have been adopted.
    mutating func merge(_ window: ClosedWindow, isState: Bool = false) {
        if !isState { record(window) }
        for change in window.scalars {
            let index = Int(change.series)
            guard index < values.count, !isVacant(index) else { continue }
            if !hasValue[index], !isState { resume(index) }
            if change.isLevel {
                values[index] = change.value
                if !remainders.isEmpty { remainders[change.series] = nil }
            } else {
                add(change.value, to: change.series)
            }
            note(index, in: window, isState: isState)
        }
        var offset = 0
        for part in window.histograms.parts {
            let count = ClassicBounds.shared.bucketCount(Int(part.layout))
            merge(part, of: window, classicOffset: offset, count: count, isState: isState)
            offset += count
        }
        for set in window.sets {
            guard Int(set.series) < hasValue.count, !isVacant(Int(set.series)) else { continue }
            note(Int(set.series), in: window, isState: isState)
            let known = distinct[set.series] ?? DistinctWindow()
            known.seconds.append((window.second, set.members))
            distinct[set.series] = known
        }
        for entry in window.exemplars where Int(entry.series) < series.count && !isVacant(Int(entry.series)) {
            keep(entry)
        }
        exemplars.noteDropped(window.droppedExemplars)
        if !isState { live.append(window.histograms, second: window.second) }
    }

    /// The `le` bounds of a histogram series' family.
    func bounds(of id: UInt32) -> [Double] {
        Int(id) < series.count && !isVacant(Int(id)) ? family(of: id).bounds : []
    }

    private mutating func add(_ change: Double, to series: UInt32) {
        let index = Int(series)
        if change == change.rounded(.towardZero), remainders.isEmpty || remainders[series] == nil {
            values[index] += change
            return
        }
        var sum = CompensatedSum(values[index], remainder: remainders[series] ?? 0)
        sum.add(change)
        values[index] = sum.value
        remainders[series] = sum.remainder == 0 ? nil : sum.remainder
    }

    mutating func forgetRemainder(_ series: UInt32) { remainders[series] = nil }

    private mutating func keep(_ entry: SeriesExemplar) {
        // Since it was found under its number a series may have been removed, and the number be another's.
        guard entry.epoch == 0 || entry.epoch == targets.epoch else { return }
        let family = families[Int(series[Int(entry.series)].family)]
        switch family.kind {
        case .counter: exemplars.keep(entry.exemplar, series: entry.series, bucket: 0)
        case .histogram:
            let bounds = family.bounds
            let bucket = bounds.firstIndex { entry.exemplar.value <= $0 } ?? bounds.count
            // A span that no observation stands for is no example of one.
            guard entry.epoch == 0 || histograms[entry.series]?.classic[bucket] ?? 0 > 0 else { return }
            exemplars.keep(entry.exemplar, series: entry.series, bucket: bucket)
        case .gauge, .distinct: break
        }
    }

    private mutating func merge(
        _ part: HistogramSecond.Part, of window: ClosedWindow, classicOffset: Int, count: Int, isState: Bool
    ) {
        guard Int(part.series) < hasValue.count, !isVacant(Int(part.series)) else { return }
        let bounds = bounds(of: part.series)
        let histogram = histograms[part.series] ?? Histogram(bucketCount: bounds.count + 1)
        histogram.sum += part.sum
        histogram.extent.include(part.least)
        histogram.extent.include(part.greatest)
        let counts = window.classicCounts[classicOffset..<(classicOffset + count)]
        if let layout = ClassicBuckets(rawValue: part.layout), layout != family(of: part.series).buckets {
            ClassicFolding.add(counts, of: layout.bounds, to: &histogram.classic, of: bounds)
        } else {
            for (index, weight) in counts.enumerated() where weight != 0 { histogram.add(weight, toClassic: index) }
        }
        histogram.isEstimate = histogram.isEstimate || part.isEstimate
        window.histograms.merge(part, into: &histogram.buckets)
        histograms[part.series] = histogram
        values[Int(part.series)] += counts.reduce(0, +)
        note(Int(part.series), in: window, isState: isState)
    }

    func family(of id: UInt32) -> MetricFamily { families[Int(series[Int(id)].family)] }

    /// Sets the second that the following merges happen in.
    mutating func setNow(_ second: Int64) {
        nowSecond = second
        rates.start(values, second: second)
    }

    /// What has come due by now: sets forget what is older than ten seconds, live windows what is older than a minute,
    /// series expire.
    mutating func advance() {
        live.expire(nowSecond: nowSecond)
        rates.mark(values, second: nowSecond)
        let (series, families) = (series, families)
        for id in expiry.advance(to: nowSecond, kind: { families[Int(series[Int($0)].family)].kind }) {
            distinct[id] = nil
        }
        var changes: [ScalarChange] = []
        for (series, window) in distinct {
            window.seconds.removeAll { $0.second <= nowSecond - Self.distinctSeconds }
            if window.seconds.count > 1 { compact(window) }
            let value = count(window)
            if values[Int(series)] != value {
                changes.append(ScalarChange(value: value, series: series, isLevel: true))
            }
            values[Int(series)] = value
        }
        recordDistinct(changes)
    }

    /// Joins parts of one second, as several shards or a late hand-over leave them.
    private func compact(_ window: DistinctWindow) {
        var joined: [(second: Int64, members: DistinctSet)] = []
        for part in window.seconds {
            if let index = joined.firstIndex(where: { $0.second == part.second }) {
                joined[index].members.merge(part.members)
            } else {
                joined.append(part)
            }
        }
        window.seconds = joined
    }

    private func count(_ window: DistinctWindow) -> Double {
        guard var union = window.seconds.first?.members else { return 0 }
        union.becomeScratch()
        for part in window.seconds.dropFirst() { union.merge(part.members) }
        return union.count
    }

    /// The totals of the series in `range` that have a value.
    func state(of range: Range<Int>) -> ClosedWindow {
        var scalars: [ScalarChange] = []
        var parts = HistogramSecond()
        var classic: [Double] = []
        var sets: [(series: UInt32, members: DistinctSet)] = []
        for index in range where hasValue[index] {
            let id = UInt32(index)
            let family = families[Int(series[index].family)]
            switch family.kind {
            case .counter, .gauge: scalars.append(ScalarChange(value: values[index], series: id, isLevel: true))
            case .distinct: sets.append((id, DistinctSet()))
            case .histogram:
                guard let histogram = histograms[id], let layout = family.buckets else { break }
                let part = HistogramSecond.Part(
                    sum: histogram.sum, least: histogram.extent.least, greatest: histogram.extent.greatest, series: id,
                    firstWord: 0, bucketCount: 0, schema: 0, isWide: false, layout: layout.rawValue,
                    isEstimate: histogram.isEstimate)
                parts.append(part, buckets: histogram.buckets)
                classic.append(contentsOf: histogram.classic)
            }
        }
        return ClosedWindow(second: 0, scalars: scalars, histograms: parts, classicCounts: classic, sets: sets)
    }

    func isPresent(_ series: UInt32) -> Bool { expiry.isPresent(series) }

    mutating func forgetMembers(_ series: UInt32) { distinct[series] = nil }

    func histogram(_ series: UInt32) -> Histogram? { histograms[series] }
    var allHistograms: [UInt32: Histogram] { histograms }
}
