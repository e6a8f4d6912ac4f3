internal import Telemetry

/// Which series a query means.
package struct SeriesSelector: Sendable {
    /// A family's name, with or without `_total`, or the name as the client sent it; nil means all.
    package var name: String?
    /// Labels that must be there with exactly these values.
    package var labels: [(name: String, value: String)]

    package init(name: String? = nil, labels: [(name: String, value: String)] = []) {
        self.name = name
        self.labels = labels
    }
}

/// One series in a query's answer.
package struct SeriesSummary: Sendable {
    /// As on a scrape, `_total` included.
    package var name: String
    package var kind: MetricFamilyKind
    package var labels: [(name: String, value: String)]
    /// Counters and gauges: the value. Histograms: the number of observations.
    package var value: Double
    /// Histograms: the sum of the observations.
    package var sum: Double?
    /// The quantile asked for, when it was asked for and there are observations.
    package var quantile: Double?
}

/// What a query found.
package struct SeriesAnswer: Sendable {
    package var series: [SeriesSummary]
    /// More series matched than were asked for.
    package var isCut: Bool
    /// The quantile over the observations of all matching series taken together.
    package var quantile: Double?
    /// Observations behind `quantile`.
    package var observations: Double
}

extension MetricsEngine {
    /// Lists series and, when asked, computes a quantile of each and of all together.
    /// - Parameters:
    ///   - quantile: 0...1.
    ///   - lastSeconds: the window of the quantile, at most 60; nil means since the start.
    ///   - limit: how many series are listed; the joint quantile still covers all.
    package func query(
        _ selector: SeriesSelector, quantile: Double? = nil, lastSeconds: Int? = nil, limit: Int = 1_000,
        nowNanoseconds: Int64
    ) -> SeriesAnswer {
        withStore(nowNanoseconds: nowNanoseconds) { store in
            var answer = SeriesAnswer(series: [], isCut: false, quantile: nil, observations: 0)
            var joint = ExponentialBuckets()
            var jointExtent = ValueExtent()
            for (index, family) in store.families.enumerated() where matches(family, selector.name) {
                for id in store.members[index] where store.isPresent(id) {
                    let labels = MetricNaming.labels(of: store.series[Int(id)].labels)
                    guard includes(labels, selector.labels) else { continue }
                    var summary = summary(of: id, family: family, labels: labels, store: store)
                    if let quantile, family.kind == .histogram {
                        var own = ExponentialBuckets()
                        var extent = ValueExtent()
                        collect(id, lastSeconds: lastSeconds, store: store, into: &own, extent: &extent)
                        summary.quantile = own.quantile(quantile).map(extent.clamp)
                        joint.merge(own)
                        jointExtent.include(extent.least)
                        jointExtent.include(extent.greatest)
                    }
                    if answer.series.count < limit { answer.series.append(summary) } else { answer.isCut = true }
                }
            }
            if let quantile {
                answer.observations = joint.total
                answer.quantile = joint.quantile(quantile).map(jointExtent.clamp)
            }
            return answer
        }
    }

    func matches(_ family: MetricFamily, _ name: String?) -> Bool {
        guard let name else { return true }
        if family.name == name { return true }
        if family.kind == .counter, family.name + "_total" == name { return true }
        let kinds: [MetricKind] =
            switch family.kind {
            case .counter: [.counter]
            case .gauge: [.gauge]
            case .histogram: [.timer, .histogram]
            case .distinct: [.set]
            }
        return kinds.contains { MetricNaming.familyName(of: Array(name.utf8), kind: $0) == family.name }
    }

    private func includes(_ labels: [(name: String, value: String)], _ wanted: [(name: String, value: String)]) -> Bool
    {
        wanted.allSatisfy { want in labels.contains { $0 == want } }
    }

    private func summary(
        of id: UInt32, family: MetricFamily, labels: [(name: String, value: String)], store: borrowing MetricsStore
    ) -> SeriesSummary {
        let name = family.kind == .counter ? family.name + "_total" : family.name
        guard family.kind == .histogram, let histogram = store.histogram(id) else {
            return SeriesSummary(name: name, kind: family.kind, labels: labels, value: store.values[Int(id)])
        }
        return SeriesSummary(
            name: name, kind: family.kind, labels: labels, value: histogram.classic.reduce(0, +), sum: histogram.sum)
    }

    private func collect(
        _ id: UInt32, lastSeconds: Int?, store: borrowing MetricsStore, into buckets: inout ExponentialBuckets,
        extent: inout ValueExtent
    ) {
        if let lastSeconds {
            store.live.merge(id, from: store.nowSecond - Int64(lastSeconds), into: &buckets, extent: &extent)
        } else if let histogram = store.histogram(id) {
            buckets.merge(histogram.buckets)
            extent.include(histogram.extent.least)
            extent.include(histogram.extent.greatest)
        }
    }
}
