internal import Telemetry

/// What a family shows on a scrape.
package enum MetricFamilyKind: UInt8, Sendable {
    case counter
    case gauge
    case histogram
    /// A gauge: how many distinct members a set had in the last ten seconds.
    case distinct

    /// Added to the name of a family whose name another kind already has.
    var conflictSuffix: String {
        switch self {
        case .counter: "_counter"
        case .gauge: "_gauge"
        case .histogram: "_histogram"
        case .distinct: "_set"
        }
    }
}

/// A metric family: one name, one kind, any number of series.
package struct MetricFamily: Sendable {
    /// Without `_total` for counters.
    package var name: String
    package var kind: MetricFamilyKind
    /// Stable for the life of the process: says what the client sent first.
    package var help: String
    /// The `le` layout of histograms.
    package var buckets: ClassicBuckets?

    /// The `le` bounds of a histogram, ascending, without `+Inf`.
    package var bounds: [Double] { buckets?.bounds ?? [] }

    /// As on a scrape: with `_total` for counters.
    package var shownName: String { kind == .counter ? name + "_total" : name }

    /// Every name a family of this kind may put on a sample line, in either text format, and its own.
    var reservedNames: [String] {
        switch kind {
        case .counter: [name, name + "_total", name + "_created"]
        case .gauge, .distinct: [name]
        case .histogram: [name, name + "_bucket", name + "_sum", name + "_count", name + "_created"]
        }
    }
}

/// Where the samples of a line go.
package struct SeriesRegistration: Hashable, Sendable {
    /// Dense: series are numbered from zero; the number of one that expired is given out again.
    package let id: UInt32
    package let buckets: ClassicBuckets?
    /// Values are multiplied by this before they are recorded.
    package var scale = 1.0
    /// The counter that counts this histogram's observations, second by second.
    package var counter: UInt32?
    /// A series that many identities beyond a limit share.
    package var isOverflow = false

    package init(id: UInt32, buckets: ClassicBuckets?) {
        self.id = id
        self.buckets = buckets
    }
}

/// The limits of a registry and what it has counted.
package struct SeriesLimits: Sendable {
    package var series: Int
    package var seriesPerFamily: Int
    package var families: Int
    /// Of one value of the first of `sourceLabels` that a series has.
    package var seriesPerSource = Limits.seriesPerSource
    /// Names as sent or as shown.
    package var sourceLabels = ["service", "job"]
    /// Labels that an overflow series keeps.
    package var overflowLabels = ["service", "status"]

    package init(
        series: Int = Limits.series, seriesPerFamily: Int = Limits.seriesPerFamily,
        families: Int = Limits.metricFamilies
    ) {
        self.series = series
        self.seriesPerFamily = seriesPerFamily
        self.families = families
    }
}

/// How often each limit sent an identity to an overflow series.
package struct OverflowCounts: Hashable, Sendable {
    package var total: UInt64 = 0
    package var family: UInt64 = 0
    package var source: UInt64 = 0
    package var families: UInt64 = 0

    package init() {}

    /// All of them.
    package var sum: UInt64 { total &+ family &+ source &+ families }
}

/// What happened to identities on their way to a series. All but `series` and `families` only grow.
package struct SeriesCounts: Sendable {
    package var series: UInt64 = 0
    package var families: UInt64 = 0
    /// Identities that were sent to an overflow series because a limit was reached, by that limit.
    package var overflowed = OverflowCounts()
    /// Families whose name another kind already had: they got a suffix.
    package var typeConflicts: UInt64 = 0
    /// Different names as sent that became one family name.
    package var nameCollisions: UInt64 = 0
    /// Labels that repeated the name of another label of their line.
    package var duplicateLabels: UInt64 = 0
}
