internal import Synchronization
package import Telemetry

extension MetricsEngine {
    /// Applies the points of one OTLP request; they are in every scrape that starts after the return;
    /// with a log, once that has written them.
    ///
    /// Deltas add up; of cumulative points what is new since the last one of their stream is added, so that counters
    /// and histograms only grow, whoever restarts. Requests are applied one after the other.
    /// - Parameters:
    ///   - nowNanoseconds: Unix time.
    ///   - startedNanoseconds: when this process began. A stream that is older may be counted in its series already.
    package func apply(_ points: MetricPoints, nowNanoseconds: Int64, startedNanoseconds: Int64) -> PointReport {
        var report = PointReport(rejected: points.rejected, message: points.message)
        let second = nowNanoseconds / 1_000_000_000
        streams.withLock { streams in
            var application = PointApplication(
                engine: self, points: points, window: PointWindow(second: second), started: startedNanoseconds)
            application.writeTargets()
            for point in points.points {
                do throws(PointRejection) {
                    try application.apply(point, streams: &streams)
                    report.applied += 1
                } catch {
                    report.reject(
                        error, "metric \"\(String(decoding: points.metrics[point.metric].name, as: UTF8.self))\"")
                }
            }
            let window = application.window.closed(streams.takeChanges())
            pointWindows.withLock { $0.append(window) }
        }
        advance(nowNanoseconds: nowNanoseconds)
        return report
    }

    /// Whether requests should wait until the log has taken those before them.
    package var isPointQueueFull: Bool { pointWindows.withLock { $0.count >= Limits.pointRequestsWaiting } }

    /// Cumulative OTLP streams followed.
    package var pointStreamCount: Int { streams.withLock { $0.count } }

    /// What a series has counted from streams that began before `start`: its value or number of observations now, or
    /// when it was removed meanwhile and came back the value that is remembered; zero for none.
    /// - Parameter processStart: streams older than this process may be counted in any series. Nanoseconds, as `start`.
    func counted(
        in series: SeriesRegistration, from start: UInt64, processStart: Int64, nowNanoseconds: Int64
    ) -> Double {
        let start = Int64(clamping: start)
        return withStore(nowNanoseconds: nowNanoseconds) { store in
            let index = Int(series.id)
            if index < store.seriesCount, store.hasValue[index] {
                return start < processStart ? store.values[index] : 0
            }
            // New here, so nothing can remove it before this request ends.
            let entry = registry.withLock { $0.series[index] }
            guard let total = store.remembered.peek(store.rememberedKey(entry)) else { return 0 }
            return start / 1_000_000_000 <= total.lastUpdate ? total.value : 0
        }
    }
}

/// Applies points one by one to a window of their own.
private struct PointApplication {
    let engine: MetricsEngine
    let points: MetricPoints
    var window: PointWindow
    let started: Int64
    /// By metric: the family name; by scope: the labels that its points share.
    private var names: [String]
    private let shared: [[(name: String, value: String)]]

    init(engine: MetricsEngine, points: MetricPoints, window: PointWindow, started: Int64) {
        self.engine = engine
        self.points = points
        self.window = window
        self.started = started
        names = points.metrics.map(PointNaming.familyName)
        let targets = points.resources.map { PointTarget($0).labels }
        shared = points.scopes.map { scope in
            targets[scope.resource] + PointNaming.scopeLabels(scope)
        }
    }

    /// One `target_info` for each resource that says more than its name.
    mutating func writeTargets() {
        let used = Set(points.metrics.map { points.scopes[$0.scope].resource })
        for index in used.sorted() {
            let target = PointTarget(points.resources[index])
            guard !target.labels.isEmpty, !target.others.isEmpty else { continue }
            let text = PointNaming.labelText(target.others, own: target.labels)
            let series = engine.registry.withLock {
                $0.register(family: "target_info", kind: .gauge, labels: text, help: "Target metadata")
            }
            window.set(1, on: series.id)
        }
    }

    mutating func apply(_ point: MetricPoint, streams: inout PointStreams) throws(PointRejection) {
        let metric = points.metrics[point.metric]
        guard !metric.name.isEmpty else { throw .emptyName }
        if let defect = point.defect { throw defect }
        if point.hasNoValue { return }
        switch point.content {
        case .number(let value): try apply(value, point, metric, &streams)
        case .explicit(let histogram): try apply(histogram, point, metric, &streams)
        case .exponential(let histogram): try apply(histogram, point, metric, &streams)
        case .summary(let summary): try apply(summary, point, metric)
        }
    }

    private func series(
        _ point: MetricPoint, _ kind: MetricFamilyKind, suffix: String = "",
        extra: [(name: String, value: String)] = [], bounds: [Double]? = nil
    ) -> SeriesRegistration {
        let metric = points.metrics[point.metric]
        let text = PointNaming.labelText(point.attributes, own: shared[metric.scope] + extra)
        let help =
            metric.description.isEmpty
            ? "OTLP metric \"\(String(decoding: metric.name, as: UTF8.self))\"" : metric.description
        return engine.registry.withLock {
            $0.register(
                family: names[point.metric] + suffix, kind: kind, labels: text, help: help, bounds: bounds)
        }
    }

    // MARK: Gauges and sums

    private mutating func apply(
        _ value: Double, _ point: MetricPoint, _ metric: MetricPoints.Metric, _ streams: inout PointStreams
    ) throws(PointRejection) {
        if metric.shape == .gauge {
            window.set(value, on: series(point, .gauge).id)
            return
        }
        guard value.isFinite else { throw .badValue }
        guard metric.temporality != .unspecified else { throw .temporality }
        guard metric.isMonotonic else {
            let series = series(point, .gauge).id
            if metric.temporality == .delta { window.add(value, to: series) } else { window.set(value, on: series) }
            return
        }
        guard value >= 0 else { throw .badValue }
        let series = series(point, .counter)
        var change = value
        if metric.temporality == .cumulative {
            switch try streams.known(series: series.id, start: point.start, time: point.time) {
            case .last(.number(let last)): change = value >= last ? value - last : value
            case .last: break
            case .first(let hasSiblings):
                if let counted = alreadyCounted(series, point, hasSiblings) { change = max(value - counted, 0) }
            }
            try keep(.number(value), series, point, &streams)
        }
        window.note(point, on: series.id)
        window.add(change, to: series.id)
    }

    /// What a stream that is not known any more may have in its series from before; nil when it is a new one.
    private func alreadyCounted(_ series: SeriesRegistration, _ point: MetricPoint, _ hasSiblings: Bool) -> Double? {
        guard !hasSiblings else { return nil }
        let counted = engine.counted(
            in: series, from: point.start, processStart: started, nowNanoseconds: window.second * 1_000_000_000)
        return counted > 0 ? counted : nil
    }

    private func keep(
        _ state: CumulativeState, _ series: SeriesRegistration, _ point: MetricPoint, _ streams: inout PointStreams
    ) throws(PointRejection) {
        try streams.keep(
            state, series: series.id, start: point.start, time: point.time, nowSecond: window.second)
    }

    // MARK: Histograms

    private mutating func apply(
        _ histogram: ExplicitPoint, _ point: MetricPoint, _ metric: MetricPoints.Metric,
        _ streams: inout PointStreams
    ) throws(PointRejection) {
        guard metric.temporality != .unspecified else { throw .temporality }
        try histogram.validate()
        let series = series(point, .histogram, bounds: histogram.counts.isEmpty ? nil : histogram.bounds)
        var change = histogram
        if metric.temporality == .cumulative {
            switch try streams.known(series: series.id, start: point.start, time: point.time) {
            case .last(.explicit(let last)): change = try histogram.since(last)
            case .last: break
            case .first(let hasSiblings):
                // The counts of an earlier process cannot be told bucket by bucket; from here on they can.
                if alreadyCounted(series, point, hasSiblings) != nil {
                    return try keep(.explicit(histogram), series, point, &streams)
                }
            }
            try keep(.explicit(histogram), series, point, &streams)
        }
        window.note(point, on: series.id)
        window.add(change, to: series.id, buckets: series.buckets ?? .wide)
    }

    private mutating func apply(
        _ histogram: ExponentialPoint, _ point: MetricPoint, _ metric: MetricPoints.Metric,
        _ streams: inout PointStreams
    ) throws(PointRejection) {
        guard metric.temporality != .unspecified else { throw .temporality }
        try histogram.validate()
        let series = series(point, .histogram)
        var change = histogram
        if metric.temporality == .cumulative {
            switch try streams.known(series: series.id, start: point.start, time: point.time) {
            case .last(.exponential(let last)): change = histogram.since(last)
            case .last: break
            case .first(let hasSiblings):
                if alreadyCounted(series, point, hasSiblings) != nil {
                    return try keep(.exponential(histogram), series, point, &streams)
                }
            }
            try keep(.exponential(histogram), series, point, &streams)
        }
        window.note(point, on: series.id)
        window.add(change, to: series.id, buckets: series.buckets ?? .wide)
    }

    // MARK: Summaries

    /// Quantiles are gauges, and so are sum and count, which are the sender's and may start again.
    private mutating func apply(
        _ summary: SummaryPoint, _ point: MetricPoint, _ metric: MetricPoints.Metric
    ) throws(PointRejection) {
        for quantile in summary.quantiles {
            guard quantile.quantile >= 0, quantile.quantile <= 1 else { throw .badValue }
        }
        for quantile in summary.quantiles {
            let label = (name: "quantile", value: "\(quantile.quantile)")
            window.set(quantile.value, on: series(point, .gauge, extra: [label]).id)
        }
        window.set(summary.sum, on: series(point, .gauge, suffix: "_sum").id)
        window.set(Double(summary.count), on: series(point, .gauge, suffix: "_count").id)
    }
}

/// A resource as Prometheus names a target.
struct PointTarget {
    /// `job` from `service.namespace/service.name`, `instance` from `service.instance.id`.
    private(set) var labels: [(name: String, value: String)] = []
    /// The attributes that are neither.
    private(set) var others: [MetricLabel] = []

    init(_ resource: MetricPoints.Resource) {
        var (namespace, name, instance) = ("", "", "")
        for attribute in resource.attributes {
            let value = String(decoding: attribute.value, as: UTF8.self)
            switch String(decoding: attribute.key, as: UTF8.self) {
            case "service.namespace": namespace = value
            case "service.name": name = value
            case "service.instance.id": instance = value
            default: others.append(attribute)
            }
        }
        if !name.isEmpty { labels.append(("job", namespace.isEmpty ? name : namespace + "/" + name)) }
        if !instance.isEmpty { labels.append(("instance", instance)) }
    }
}

extension ExplicitPoint {
    func validate() throws(PointRejection) {
        guard sum.isFinite else { throw .badValue }
        guard counts.count <= Limits.bucketsPerPoint else { throw .tooManyBuckets }
        guard counts.isEmpty ? bounds.isEmpty : counts.count == bounds.count + 1 else { throw .badBuckets }
        for (left, right) in zip(bounds, bounds.dropFirst()) {
            guard left < right else { throw .badBuckets }
        }
        guard bounds.allSatisfy(\.isFinite) else { throw .badBuckets }
        var total: UInt64 = 0
        for count in counts {
            let (sum, overflow) = total.addingReportingOverflow(count)
            guard !overflow, sum <= 1 << 53 else { throw .badBuckets }
            total = sum
        }
        guard counts.isEmpty ? count <= 1 << 53 : total == count else { throw .badBuckets }
    }
}

extension ExponentialPoint {
    func validate() throws(PointRejection) {
        guard sum.isFinite else { throw .badValue }
        guard (-4...20).contains(scale) else { throw .badScale }
        guard counts.count <= Limits.bucketsPerPoint else { throw .tooManyBuckets }
        guard !hasNegativeCounts else { throw .negativeBuckets }
        var total = zeroCount
        for count in counts {
            let (sum, overflow) = total.addingReportingOverflow(count)
            guard !overflow, sum <= 1 << 53 else { throw .badBuckets }
            total = sum
        }
        guard total == count else { throw .badBuckets }
    }
}
