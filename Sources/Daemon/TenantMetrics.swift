internal import Endpoints
internal import HostIO
internal import Logging
internal import MetricsEngine
internal import SegmentStore
internal import Synchronization
internal import Telemetry

/// Metrics of other tenants than the default one: made in a folder each, and written by two threads for all of them.
final class TenantMetrics: Sendable {
    let metrics: MetricTenants
    private let maker: TenantMaker
    private let threads = Mutex<[PeriodicThread]>([])

    init(_ configuration: Configuration, _ disk: HostDisk, _ settings: StoreConfiguration, beside main: MetricsService)
    {
        let maker = TenantMaker(configuration, disk, settings, beside: main)
        self.maker = maker
        metrics = MetricTenants(
            limit: configuration.metricLimits.tenants, blank: maker.blank(),
            countsSpans: configuration.metricLimits.spanSeries > 0
        ) { maker.make($0) }
    }

    /// Finds what is on disk and begins to write; the data directory's lock must be held.
    /// - Returns: what a person should hear of.
    func open() throws(DiskError) -> [String] {
        var problems: [String] = []
        for name in try maker.names() {
            switch metrics.open(name) {
            case .success: problems += maker.takeProblems()
            case .failure(.full):
                problems.append("the metrics of tenant \(name) stay closed: there are more than --metric-tenants")
            case .failure(let refusal): problems.append("the metrics of tenant \(name) cannot be opened: \(refusal)")
            }
        }
        let metrics = metrics
        threads.withLock { threads in
            threads.append(PeriodicThread(every: 100) { metrics.stepLogs() })
            threads.append(PeriodicThread(every: 1_000) { metrics.stepRecorders() })
        }
        return problems
    }

    /// New limits and times for tenants that are there and those that come.
    func apply(_ configuration: Configuration) {
        maker.apply(configuration)
        let limits = configuration.metricLimits.ofTenant
        let retention = RecorderRetention(ofTenant: configuration)
        metrics.forEach { _, tenant in
            tenant.service.engine.setLimits(limits.seriesLimits)
            tenant.service.engine.setExpiry(limits.expiry)
            if configuration.recorderAge != 0 { (tenant.keeper as? TenantKeeper)?.setRetention(retention) }
        }
    }

    /// - Returns: false when the disk does not have all that was shown.
    func close() -> Bool {
        for thread in threads.withLock({ $0 }) { thread.stop() }
        return metrics.close()
    }
}

extension CrestDaemon {
    /// Without tokens everybody is the default tenant.
    func makeTenants(beside metrics: MetricsService) {
        guard access.needsTokens else { return }
        tenants.withLock { $0 = TenantMetrics(configuration, disk, storeSettings(), beside: metrics) }
    }

    /// Brings the metrics of all tenants back; the store, and with it the directory's lock, must be open.
    func openTenants() throws(StartFailure) {
        guard let tenants = tenants.withLock({ $0 }) else { return }
        do throws(DiskError) {
            for problem in try tenants.open() { log.warning("recovery: \(problem)") }
        } catch { throw StartFailure(StoreOpenError(disk: error), directory: configuration.dataDirectory) }
    }

    /// The default tenant's, with the way of spans to the metrics of their own tenant.
    func handlers(_ metrics: MetricsService) -> MetricsHandlers {
        var handlers = metrics.handlers
        guard let tenants = tenants.withLock({ $0 })?.metrics else { return handlers }
        let own = handlers.spans
        handlers.spans = { batch in
            batch.origin.tenant == BatchOrigin.defaultTenant ? own(batch) : tenants.note(batch)
        }
        return handlers
    }
}
