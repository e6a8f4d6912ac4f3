internal import ArgumentParser

/// The flags that bound metric series.
struct MetricLimitOptions: ParsableArguments {
    @Option(help: "Series in all. (default: 1000000)") var seriesLimit: String?
    @Option(help: "Series of one metric. (default: 200000)") var seriesLimitFamily: String?
    @Option(help: "Series of one source. (default: 500000)") var seriesLimitSource: String?
    @Option(help: "Tenants besides the default one with metrics, each with a tenth of the limits. (default: 64)")
    var metricTenants: String?
    @Option(help: "Labels that name the source; the first one that is there counts. (default: service,job)")
    var sourceLabels: String?
    @Option(help: "Labels that series beyond a limit keep; none for none. (default: service,status)")
    var overflowLabels: String?
    @Option(help: "Series made of spans: rate, errors, durations by operation; or off. (default: 10000)")
    var spanMetrics: String?
    @Option(help: "Quiet time after which a counter leaves the scrape; 0: never. (default: 1d)")
    var expireCounters: String?
    @Option(help: "The same for gauges. (default: 15m)") var expireGauges: String?
    @Option(help: "The same for histograms and timers. (default: 6h)") var expireHistograms: String?
    @Option(help: "The same for sets. (default: 15m)") var expireSets: String?

    var settings: [(key: String, value: String?)] {
        [
            ("series-limit", seriesLimit), ("series-limit-family", seriesLimitFamily),
            ("series-limit-source", seriesLimitSource), ("metric-tenants", metricTenants),
            ("source-labels", sourceLabels), ("overflow-labels", overflowLabels), ("span-metrics", spanMetrics),
            ("expire-counters", expireCounters),
            ("expire-gauges", expireGauges), ("expire-histograms", expireHistograms), ("expire-sets", expireSets),
        ]
    }
}
