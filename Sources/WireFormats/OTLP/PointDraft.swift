internal import Telemetry

/// Collects what both OTLP metrics decoders read, and applies the limits that bound memory while decoding.
struct PointCollector {
    private(set) var points = MetricPoints()
    /// Where the decoder is, for messages.
    var place = (resource: 0, scope: 0, metric: 0)

    mutating func beginResource() { points.resources.append(MetricPoints.Resource()) }

    mutating func set(_ resource: MetricPoints.Resource) {
        if let last = points.resources.indices.last { points.resources[last] = resource }
    }

    mutating func beginScope(_ scope: MetricPoints.Scope) {
        var scope = scope
        scope.resource = points.resources.count - 1
        points.scopes.append(scope)
    }

    /// What describes the scope that was begun last.
    mutating func set(_ scope: MetricPoints.Scope) {
        guard let last = points.scopes.indices.last else { return }
        var scope = scope
        scope.resource = points.scopes[last].resource
        points.scopes[last] = scope
    }

    /// Opens a metric for the points that follow; what is known of it later comes by ``set(_:)``.
    mutating func beginMetric() {
        var metric = MetricPoints.Metric()
        metric.scope = points.scopes.count - 1
        points.metrics.append(metric)
    }

    mutating func set(_ metric: MetricPoints.Metric) {
        guard let last = points.metrics.indices.last else { return }
        var metric = metric
        metric.scope = points.scopes.count - 1
        points.metrics[last] = metric
    }

    mutating func add(_ point: MetricPoint) {
        guard points.points.count < Limits.pointsPerRequest else {
            points.reject(
                .tooManyPoints,
                at: "resourceMetrics[\(place.resource)].scopeMetrics[\(place.scope)].metrics[\(place.metric)]")
            return
        }
        var point = point
        point.metric = points.metrics.count - 1
        points.points.append(point)
    }
}

/// A data point while its fields arrive, in any order; its kind decides what of it counts.
struct PointDraft {
    var point = MetricPoint()
    var number = 0.0
    var explicit = ExplicitPoint()
    var exponential = ExponentialPoint()
    var summary = SummaryPoint()

    mutating func add(_ attribute: MetricLabel) {
        guard point.attributes.count < Limits.attributesPerPoint else {
            point.defect = .tooManyAttributes
            return
        }
        point.attributes.append(attribute)
    }

    /// - Returns: false when the point has too many; then no more are kept.
    @inline(__always)
    mutating func hasRoom(_ count: Int) -> Bool {
        if count <= Limits.bucketsPerPoint { return true }
        point.defect = .tooManyBuckets
        return false
    }

    mutating func setFlags(_ flags: UInt32) { point.hasNoValue = flags & 1 != 0 }

    func finished(_ shape: MetricShape) -> MetricPoint {
        var point = point
        switch shape {
        case .gauge, .sum: point.content = .number(number)
        case .histogram: point.content = .explicit(explicit)
        case .exponentialHistogram: point.content = .exponential(exponential)
        case .summary: point.content = .summary(summary)
        }
        return point
    }
}

/// Attribute values as label text.
enum LabelValueText {
    static func append(_ value: Double, to text: inout [UInt8]) { appendExpositionNumber(value, to: &text) }
    static func append(_ value: Int64, to text: inout [UInt8]) { text.append(contentsOf: "\(value)".utf8) }
    static func append(_ value: Bool, to text: inout [UInt8]) { text.append(contentsOf: "\(value)".utf8) }
}
