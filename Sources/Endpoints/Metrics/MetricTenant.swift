internal import MetricsEngine
internal import QueryEngine
internal import Telemetry

/// The metrics of one tenant besides the default one: an engine of its own, and what keeps it on disk.
package struct MetricTenant: Sendable {
    package let service: MetricsService
    private(set) var handlers: MetricsHandlers
    /// The recorded series behind `/prometheus`; nil when none are recorded.
    let samples: (any SampleSource)?
    package let keeper: any MetricKeeper

    /// - Parameter isRecorded: whether range queries and PromQL have anything to read.
    package init(
        _ service: MetricsService, isRecorded: Bool, keeper: any MetricKeeper = NoMetricKeeper()
    ) {
        self.service = service
        self.keeper = keeper
        handlers = service.handlers
        samples =
            isRecorded
            ? RecorderSampleSource(engine: service.engine, segments: service.recorder, now: service.now) : nil
    }
}

extension MetricTenant {
    /// The same to read, and refusing whatever is written.
    var unwritable: MetricTenant {
        var tenant = self
        tenant.handlers.statsD = { _ in MetricsHandlers.unavailable }
        tenant.handlers.points = { _ in PointOutcome(rejected: 0, message: "", isBusy: true) }
        tenant.handlers.remoteWrite = { _ in nil }
        tenant.handlers.spans = { _ in }
        return tenant
    }
}

/// What keeps the metrics of one tenant on disk. `stepLog` and `stepRecorder` are called by one thread each.
package protocol MetricKeeper: Sendable {
    /// Writes what closed meanwhile and shows it; about ten times a second.
    func stepLog()
    /// Writes the recorded blocks that are due and removes those that are too old; about once a second.
    func stepRecorder()
    /// Writes what is left. False when the disk does not have all that was shown.
    func close() -> Bool
    var counts: MetricKeeperCounts { get }
}

package struct MetricKeeperCounts: Hashable, Sendable {
    package var logBytes: UInt64 = 0
    package var recorderBytes: UInt64 = 0
    /// Writes that failed, of both.
    package var errors: UInt64 = 0
    /// Why nothing is written at the moment.
    package var problem: String?

    package init() {}
}

/// Keeps nothing.
package struct NoMetricKeeper: MetricKeeper {
    package init() {}
    package func stepLog() {}
    package func stepRecorder() {}
    package func close() -> Bool { true }
    package var counts: MetricKeeperCounts { MetricKeeperCounts() }
}

/// Why a tenant gets no metrics.
package enum MetricTenantRefusal: Error, Hashable, Sendable {
    /// As many tenants have metrics as may.
    case full
    /// The disk does not let us; the text is for the log.
    case failed(String)
    case stopping
}
