internal import MetricsEngine
internal import Telemetry

/// How many metric series there may be, and how long a quiet one stays.
package struct MetricLimits: Hashable, Sendable {
    package var series = Limits.series
    package var seriesPerFamily = Limits.seriesPerFamily
    package var seriesPerSource = Limits.seriesPerSource
    package var sourceLabels = ["service", "job"]
    package var overflowLabels = ["service", "status"]
    /// Of each family that is made of spans; 0: none are.
    package var spanSeries = Limits.spanMetricSeries
    /// Tenants besides the default one that may have metrics.
    package var tenants = 64
    /// Nanoseconds without an update; 0: never.
    package var counterExpiry: UInt64 = 0
    package var gaugeExpiry: UInt64 = 0
    package var histogramExpiry: UInt64 = 0
    package var setExpiry: UInt64 = 0

    /// An engine with these limits.
    func engine(_ tally: LineTally) -> MetricsEngine {
        MetricsEngine(limits: seriesLimits, expiry: expiry, tally: tally)
    }

    /// What each tenant besides the default one has: a tenth.
    var ofTenant: MetricLimits {
        var limits = self
        limits.series = max(series / 10, 1)
        limits.seriesPerFamily = max(seriesPerFamily / 10, 1)
        limits.seriesPerSource = max(seriesPerSource / 10, 1)
        limits.spanSeries = spanSeries > 0 ? max(spanSeries / 10, 1) : 0
        return limits
    }

    /// The engine of a tenant besides the default one, on its limits.
    func tenantEngine(_ tally: LineTally) -> MetricsEngine {
        MetricsEngine(
            limits: seriesLimits, expiry: expiry, tally: tally, distinctSketches: Limits.distinctSketches / 10)
    }

    var seriesLimits: SeriesLimits {
        var limits = SeriesLimits(series: series, seriesPerFamily: seriesPerFamily)
        limits.seriesPerSource = seriesPerSource
        limits.sourceLabels = sourceLabels
        limits.overflowLabels = overflowLabels
        return limits
    }

    var expiry: ExpiryPolicy {
        var expiry = ExpiryPolicy()
        expiry.counters = Int64(clamping: counterExpiry / 1_000_000_000)
        expiry.gauges = Int64(clamping: gaugeExpiry / 1_000_000_000)
        expiry.histograms = Int64(clamping: histogramExpiry / 1_000_000_000)
        expiry.sets = Int64(clamping: setExpiry / 1_000_000_000)
        return expiry
    }
}

extension Setting {
    static let metricLimits: [Setting] = [
        count("series-limit", "1000000", \.metricLimits.series, largest: 50_000_000),
        count("series-limit-family", "200000", \.metricLimits.seriesPerFamily, largest: 50_000_000),
        count("series-limit-source", "500000", \.metricLimits.seriesPerSource, largest: 50_000_000),
        count("metric-tenants", "64", \.metricLimits.tenants, largest: 1_000),
        words("source-labels", "service,job", \.metricLimits.sourceLabels),
        words("overflow-labels", "service,status", \.metricLimits.overflowLabels),
        plain(
            "span-metrics", "\(Limits.spanMetricSeries)", "must be a number of series from 1 to 1000000, or off",
            \.metricLimits.spanSeries
        ) { text in
            text == "off" ? 0 : Int(text).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
        } text: {
            $0 == 0 ? "off" : "\($0)"
        },
        expiry("expire-counters", "1d", \.metricLimits.counterExpiry),
        expiry("expire-gauges", "15m", \.metricLimits.gaugeExpiry),
        expiry("expire-histograms", "6h", \.metricLimits.histogramExpiry),
        expiry("expire-sets", "15m", \.metricLimits.setExpiry),
    ]

    private static func count(
        _ name: String, _ standard: String, _ path: any WritableKeyPath<Configuration, Int> & Sendable, largest: Int
    ) -> Setting {
        plain(name, standard, "must be a number from 1 to \(largest)", path) { text in
            Int(text).flatMap { (1...largest).contains($0) ? $0 : nil }
        } text: {
            "\($0)"
        }
    }

    /// Label names, at most 16; `none` for none.
    private static func words(
        _ name: String, _ standard: String, _ path: any WritableKeyPath<Configuration, [String]> & Sendable
    ) -> Setting {
        plain(name, standard, "must be up to 16 label names with commas between them, or none", path) { text in
            if text == "none" { return [] }
            let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            let isGood = names.count <= 16 && names.allSatisfy { !$0.isEmpty && !$0.contains(" ") }
            return isGood ? names : nil
        } text: {
            $0.isEmpty ? "none" : $0.joined(separator: ",")
        }
    }

    /// At least two seconds, so that a series cannot come and go between two scrapes.
    private static func expiry(
        _ name: String, _ standard: String, _ path: any WritableKeyPath<Configuration, UInt64> & Sendable
    ) -> Setting {
        plain(name, standard, "must be a duration of at least 2s such as 15m or 1d, or 0 for never", path) { text in
            if text == "0" { return 0 }
            return SettingText.nanoseconds(text).flatMap { $0 >= 2_000_000_000 ? $0 : nil }
        } text: {
            $0 == 0 ? "0" : SettingText.text(nanoseconds: $0)
        }
    }
}
