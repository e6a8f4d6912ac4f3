package import MetricsEngine
package import Telemetry

/// The endpoints of the metrics side, plugged in by the daemon. Bodies arrive inflated.
package struct MetricsHandlers: Sendable {
    /// `POST /api/v1/statsd`.
    package var statsD: @Sendable (Request) -> Response
    /// `GET /metrics`.
    package var scrape: @Sendable (Request) -> Response
    /// `GET /api/crest/v1/series`.
    package var series: @Sendable (Request) -> Response
    /// `GET /api/crest/v1/series/range`.
    package var seriesRange: @Sendable (Request, QueryBudget) -> Response
    /// `GET /api/crest/v1/metrics/cardinality`.
    package var cardinality: @Sendable (Request) -> Response
    /// `GET /api/crest/v1/metrics/conflicts`.
    package var conflicts: @Sendable (Request) -> Response
    /// `GET /api/crest/v1/metrics/top`.
    package var top: @Sendable (Request) -> Response
    /// `GET /api/crest/v1/rejects`.
    package var rejects: @Sendable (Request) -> Response
    /// `GET` and `POST /api/crest/v1/explain`.
    package var explain: @Sendable (Request) -> Response
    /// The points of `POST /v1/metrics`; nil when no metrics are taken.
    package var points: (@Sendable (MetricPoints) -> PointOutcome)?
    /// The series of `POST /api/v1/write`; nil when no metrics are taken. Its result is nil when they must wait.
    package var remoteWrite: (@Sendable (RemoteWriteBatch) -> RemoteWriteReport?)?
    /// A batch of spans that is stored, to make metrics of; called on the store's threads.
    package var spans: @Sendable (SpanBatch) -> Void

    /// Those left out answer 404, saying that this daemon takes no metrics.
    package init(
        statsD: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        scrape: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        series: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        seriesRange: @escaping @Sendable (Request, QueryBudget) -> Response = { _, _ in unavailable },
        cardinality: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        conflicts: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        top: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        rejects: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        explain: @escaping @Sendable (Request) -> Response = { _ in unavailable },
        points: (@Sendable (MetricPoints) -> PointOutcome)? = nil,
        remoteWrite: (@Sendable (RemoteWriteBatch) -> RemoteWriteReport?)? = nil,
        spans: @escaping @Sendable (SpanBatch) -> Void = { _ in }
    ) {
        self.spans = spans
        self.statsD = statsD
        self.scrape = scrape
        self.series = series
        self.seriesRange = seriesRange
        self.cardinality = cardinality
        self.conflicts = conflicts
        self.top = top
        self.rejects = rejects
        self.explain = explain
        self.points = points
        self.remoteWrite = remoteWrite
    }

    package static let unavailable = Response.text("metrics are off in this daemon\n", status: 404)
}
