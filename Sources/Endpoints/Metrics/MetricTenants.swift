internal import MetricsEngine
internal import Synchronization
package import Telemetry

/// The metrics of all tenants but the default one, an engine each: what one has sent stands in no memory that another's
/// request looks at.
///
/// A tenant's engine is made when it first writes, and never for a question; how many there may be is bounded. Spans
/// whose tenant has no engine yet wait until ``stepLogs()`` makes it, because the store's threads must not wait for the
/// disk. Source: schemas/tokens.md, "Metrics of tenants".
package final class MetricTenants: Sendable {
    private struct State {
        var tenants: [String: MetricTenant] = [:]
        var isClosed = false
        /// Of tenants without an engine.
        var waiting: [SpanBatch] = []
        var waitingBytes = 0
    }

    private let limit: Int
    private let make: @Sendable (String) -> Result<MetricTenant, MetricTenantRefusal>
    /// What a tenant that has sent nothing is shown.
    private let blank: MetricTenant
    private let countsSpans: Bool
    private let waitingLimit: Int
    private let state = Mutex(State())
    /// Held while an engine is made, so that nobody makes it twice.
    private let making = Mutex(())
    private let refused = Atomic<UInt64>(0)
    private let uncounted = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - limit: tenants that may have metrics.
    ///   - blank: an empty service, which nobody can write to through this object.
    ///   - countsSpans: whether metrics are made of spans.
    ///   - waitingLimit: bytes of spans that may wait for an engine.
    ///   - make: makes the metrics of a tenant, or finds them on disk; may block.
    package init(
        limit: Int, blank: MetricTenant, countsSpans: Bool, waitingLimit: Int = Limits.tenantSpansWaitingBytes,
        make: @escaping @Sendable (String) -> Result<MetricTenant, MetricTenantRefusal>
    ) {
        self.limit = limit
        self.blank = blank.unwritable
        self.countsSpans = countsSpans
        self.waitingLimit = waitingLimit
        self.make = make
    }

    /// What a tenant has, to read.
    func find(_ tenant: String) -> MetricTenant { state.withLock { $0.tenants[tenant] } ?? blank }

    /// What a tenant has, to write to; made when it has nothing yet, which waits for the disk.
    package func open(_ tenant: String) -> Result<MetricTenant, MetricTenantRefusal> {
        if let known = state.withLock({ $0.tenants[tenant] }) { return .success(known) }
        return making.withLock { _ in makeIfAllowed(tenant) }
    }

    private func makeIfAllowed(_ tenant: String) -> Result<MetricTenant, MetricTenantRefusal> {
        let state = state.withLock { $0 }
        if let known = state.tenants[tenant] { return .success(known) }
        if state.isClosed { return .failure(.stopping) }
        guard state.tenants.count < limit else { return .failure(.full) }
        let made = make(tenant)
        if case .success(let new) = made { self.state.withLock { $0.tenants[tenant] = new } }
        return made
    }

    /// Calls `body` with each tenant's metrics, by name.
    package func forEach(_ body: (String, MetricTenant) -> Void) {
        let all = state.withLock { $0.tenants }.sorted { $0.key < $1.key }
        for (name, tenant) in all { body(name, tenant) }
    }

    // MARK: Spans

    /// Takes a batch that is stored, of any tenant but the default one; from any thread, and in no time.
    package func note(_ batch: SpanBatch) {
        guard countsSpans else { return }
        let bytes = batch.byteCount
        let known = state.withLock { state -> MetricTenant? in
            if let known = state.tenants[batch.origin.tenant] { return known }
            if !state.isClosed, state.waitingBytes + bytes <= waitingLimit {
                state.waitingBytes += bytes
                state.waiting.append(batch)
            } else {
                uncounted.add(UInt64(batch.spans.count), ordering: .relaxed)
            }
            return nil
        }
        known?.handlers.spans(batch)
    }

    /// Makes the engines that spans wait for.
    private func takeWaiting() {
        let batches = state.withLock { state in
            defer {
                state.waiting = []
                state.waitingBytes = 0
            }
            return state.waiting
        }
        for batch in batches {
            if case .success(let tenant) = open(batch.origin.tenant) {
                tenant.handlers.spans(batch)
            } else {
                uncounted.add(UInt64(batch.spans.count), ordering: .relaxed)
            }
        }
    }

    // MARK: Time

    /// What is due about ten times a second, on a thread of its own; also when nothing is logged.
    package func stepLogs() {
        takeWaiting()
        forEach { _, tenant in tenant.keeper.stepLog() }
    }

    /// What is due about once a second, on a thread of its own.
    package func stepRecorders() {
        forEach { _, tenant in tenant.keeper.stepRecorder() }
    }

    /// What is due about once a second when nothing is logged.
    package func advance() {
        forEach { _, tenant in tenant.service.advance() }
    }

    /// Writes what is left; no more is taken. Nobody steps any more.
    /// - Returns: false when the disk does not have all that was shown.
    package func close() -> Bool {
        takeWaiting()
        making.withLock { _ in state.withLock { $0.isClosed = true } }
        var isSafe = true
        forEach { _, tenant in
            tenant.service.finish()
            if !tenant.keeper.close() { isSafe = false }
        }
        return isSafe
    }

    // MARK: Reports

    /// Series of all these tenants.
    package var seriesCount: Int {
        var count = 0
        forEach { _, tenant in count += Int(clamping: tenant.service.engine.seriesCounts.series) }
        return count
    }

    /// Sentences about what cannot be written.
    package var problems: [String] {
        var problems: [String] = []
        forEach { name, tenant in
            if let problem = tenant.keeper.counts.problem {
                problems.append("the metrics of tenant \(name) cannot be written: \(problem)")
            }
        }
        return problems
    }

    func noteRefused() { refused.add(1, ordering: .relaxed) }

    /// For the default tenant's scrape.
    package var families: [SelfMetricFamily] {
        var series: [SelfMetricFamily.Sample] = []
        var overflowed: [(String, UInt64)] = []
        var log: [SelfMetricFamily.Sample] = []
        var recorder: [SelfMetricFamily.Sample] = []
        var errors: [(String, UInt64)] = []
        forEach { name, tenant in
            let counts = tenant.service.engine.seriesCounts
            let kept = tenant.keeper.counts
            let labels = [(name: "tenant", value: name)]
            series.append(.init(labels: labels, value: Double(counts.series)))
            overflowed.append((name, counts.overflowed.sum))
            log.append(.init(labels: labels, value: Double(kept.logBytes)))
            recorder.append(.init(labels: labels, value: Double(kept.recorderBytes)))
            errors.append((name, kept.errors))
        }
        func gauge(_ name: String, _ help: String, _ samples: [SelfMetricFamily.Sample]) -> SelfMetricFamily {
            SelfMetricFamily(name: name, isCounter: false, help: help, samples: samples)
        }
        return [
            .gauge("crest_metric_tenants", "Tenants besides the default one that have metrics.", Double(series.count)),
            .gauge("crest_metric_tenants_limit", "Tenants besides the default one that may have.", Double(limit)),
            .counter(
                "crest_metric_tenants_refused_total", "Requests refused because as many tenants have metrics as may.",
                refused.load(ordering: .relaxed)),
            .counter(
                "crest_span_metrics_uncounted_spans_total", "Spans in no metric because their tenant got none.",
                uncounted.load(ordering: .relaxed)),
            gauge("crest_metric_tenant_series", "Series of each of these tenants.", series),
            .counters(
                "crest_metric_tenant_series_overflowed_total", "Keys sent to an overflow series.", by: "tenant",
                overflowed),
            gauge("crest_metric_tenant_log_bytes", "Bytes of their metrics logs.", log),
            gauge("crest_metric_tenant_recorder_bytes", "Bytes of their recorded seconds.", recorder),
            .counters(
                "crest_metric_tenant_write_errors_total", "Writes of their metrics that failed.", by: "tenant", errors),
        ]
    }
}

extension EndpointContext {
    /// Puts the metrics of the request's tenant in the place of the default one's. Spans find their tenant themselves:
    /// those that a request rescues may be somebody else's.
    mutating func chooseMetrics() {
        guard tenant != BatchOrigin.defaultTenant else { return }
        let own = tenants?.find(tenant)
        var handlers = own?.handlers ?? MetricsHandlers()
        handlers.spans = metrics.spans
        metrics = handlers
        samples = own?.samples
    }
}

extension Call {
    /// The metrics that the request writes to: those of its tenant, made now when it has none.
    func metricsToWrite() -> Result<MetricsHandlers, RefusedBody> {
        guard context.tenant != BatchOrigin.defaultTenant, let tenants = context.tenants else {
            return .success(context.metrics)
        }
        switch tenants.open(context.tenant) {
        case .success(let own): return .success(own.handlers)
        case .failure(.full):
            ledger.requestsRejected.add(1, .metricTenants)
            tenants.noteRefused()
            var response = dialect.failure(
                429, "there is no room for the metrics of another tenant; see --metric-tenants", for: request)
            response.headers.append(("retry-after", "60"))
            return .failure(RefusedBody(response))
        case .failure(.failed):
            return .failure(RefusedBody(dialect.busy(.readOnly(""), for: request, ledger: ledger)))
        case .failure(.stopping): return .failure(RefusedBody(dialect.busy(.stopping, for: request, ledger: ledger)))
        }
    }
}
