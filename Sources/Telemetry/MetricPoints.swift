/// The data points of one OTLP metrics request, decoded and not yet judged.
///
///     resources <- scopes <- metrics <- points          each names its owner by index
package struct MetricPoints: Sendable {
    package struct Resource: Sendable {
        /// Values as text: numbers in decimal, arrays and maps as JSON.
        package var attributes: [MetricLabel] = []

        package init() {}
    }

    package struct Scope: Sendable {
        package var resource = 0
        package var name = ""
        package var version = ""
        /// As of ``Resource/attributes``.
        package var attributes: [MetricLabel] = []

        package init() {}
    }

    package struct Metric: Sendable {
        package var scope = 0
        package var name: [UInt8] = []
        package var unit = ""
        package var description = ""
        package var shape = MetricShape.gauge
        package var temporality = Temporality.unspecified
        package var isMonotonic = false

        package init() {}
    }

    package var resources: [Resource] = []
    package var scopes: [Scope] = []
    package var metrics: [Metric] = []
    package var points: [MetricPoint] = []
    /// Points in the body that are not in `points`, because of a limit.
    package var rejected: [(reason: PointRejection, count: Int)] = []
    /// Names the first of `rejected` and its defect.
    package var message = ""

    package init() {}

    package var received: Int { points.count + rejected.reduce(0) { $0 + $1.count } }

    package mutating func reject(_ reason: PointRejection, at place: @autoclosure () -> String) {
        if rejected.isEmpty { message = "\(place()): \(reason.sentence)" }
        if let index = rejected.firstIndex(where: { $0.reason == reason }) {
            rejected[index].count += 1
        } else {
            rejected.append((reason, 1))
        }
    }
}

package enum MetricShape: UInt8, Sendable {
    case gauge, sum, histogram, exponentialHistogram, summary
}

/// Whether a point tells what happened since the last one or since the start.
package enum Temporality: UInt8, Sendable {
    case unspecified = 0
    case delta = 1
    case cumulative = 2
}

/// One data point.
package struct MetricPoint: Sendable {
    package enum Content: Sendable {
        case number(Double)
        case explicit(ExplicitPoint)
        case exponential(ExponentialPoint)
        case summary(SummaryPoint)
    }

    /// Index of its metric.
    package var metric = 0
    package var attributes: [MetricLabel] = []
    /// Unix time in nanoseconds; zero when unknown.
    package var start: UInt64 = 0
    package var time: UInt64 = 0
    /// The sender says that there is nothing to report.
    package var hasNoValue = false
    package var content = Content.number(0)
    /// Only those that name a trace.
    package var exemplars: [Exemplar] = []
    /// A limit that the decoder found to be passed; such a point must not be applied.
    package var defect: PointRejection?

    package init() {}
}

/// A histogram by explicit bounds: bucket `i` holds `(bounds[i-1], bounds[i]]`.
package struct ExplicitPoint: Sendable {
    package var count: UInt64 = 0
    package var sum: Double = 0
    package var least: Double?
    package var greatest: Double?
    package var bounds: [Double] = []
    /// One more than bounds, or none.
    package var counts: [UInt64] = []

    package init() {}
}

/// A base-2 exponential histogram: position `k` of `counts` holds `(2^((offset+k)/2^scale), 2^((offset+k+1)/2^scale)]`.
package struct ExponentialPoint: Sendable {
    package var count: UInt64 = 0
    package var sum: Double = 0
    package var least: Double?
    package var greatest: Double?
    package var scale: Int = 0
    package var zeroCount: UInt64 = 0
    package var offset: Int = 0
    package var counts: [UInt64] = []
    package var hasNegativeCounts = false

    package init() {}
}

/// A summary as its sender computed it.
package struct SummaryPoint: Sendable {
    package var count: UInt64 = 0
    package var sum: Double = 0
    package var quantiles: [(quantile: Double, value: Double)] = []

    package init() {}
}

/// Why a data point was refused. The raw value is the `reason` label of `crest_points_rejected_total`.
package enum PointRejection: String, CaseIterable, Sendable, Error {
    case emptyName = "empty_name"
    case temporality
    case badValue = "bad_value"
    case badBuckets = "bad_buckets"
    case badScale = "bad_scale"
    case negativeBuckets = "negative_buckets"
    case tooManyBuckets = "too_many_buckets"
    case tooManyAttributes = "too_many_attributes"
    case tooManyPoints = "too_many_points"
    case tooManyStreams = "too_many_streams"
    case outOfOrder = "out_of_order"
    // Remote write
    case repeated
    case duplicateTime = "duplicate_time"
    case inFuture = "in_future"
    case badLabels = "bad_labels"
    case gaugeHistogram = "gauge_histogram"
    case tooManySeries = "too_many_series"

    package var sentence: String {
        switch self {
        case .emptyName: "the metric has no name"
        case .temporality: "the aggregation temporality is unspecified"
        case .badValue: "not a number that this kind of metric can have"
        case .badBuckets: "bounds or counts of the buckets do not fit together"
        case .badScale: "the scale is outside of -4...20"
        case .negativeBuckets: "histograms of negative values are not kept"
        case .tooManyBuckets: "more than \(Limits.bucketsPerPoint) buckets"
        case .tooManyAttributes: "more than \(Limits.attributesPerPoint) attributes"
        case .tooManyPoints: "more than \(Limits.pointsPerRequest) points in one request"
        case .tooManyStreams: "too many cumulative streams are followed already"
        case .outOfOrder: "older than the last point of its stream"
        case .repeated: "the last point of its stream once more"
        case .duplicateTime: "another value for the time of the last point of its stream"
        case .inFuture: "more than \(Limits.futureSeconds) seconds ahead of the clock"
        case .badLabels: "a label without a name, repeated, or no metric name"
        case .gaugeHistogram: "histograms of gauges are not kept"
        case .tooManySeries: "a limit of series is reached"
        }
    }
}
