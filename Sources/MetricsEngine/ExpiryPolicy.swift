internal import Telemetry

/// How long a series may go without an update before it leaves the scrape. Seconds; 0 means never.
///
/// A series must outlive two scrapes, or Prometheus sees it come and go: do not go below twice the scrape interval.
package struct ExpiryPolicy: Hashable, Sendable {
    package var counters = Limits.counterExpirySeconds
    package var gauges = Limits.gaugeExpirySeconds
    package var histograms = Limits.histogramExpirySeconds
    package var sets = Limits.setExpirySeconds

    package init() {}

    func seconds(of kind: MetricFamilyKind) -> Int64 {
        switch kind {
        case .counter: counters
        case .gauge: gauges
        case .histogram: histograms
        case .distinct: sets
        }
    }
}
