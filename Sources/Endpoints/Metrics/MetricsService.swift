package import MetricsEngine
internal import Synchronization
package import Telemetry

/// The metrics side of the daemon: one engine, its receivers and its endpoints.
package final class MetricsService: Sendable {
    package let engine: MetricsEngine
    let ledger: Ledger
    /// Whose metrics these are.
    package let owner: MetricsOwner
    let now: @Sendable () -> UInt64
    let selfMetrics: @Sendable () -> [SelfMetricFamily]
    let nativeSchema: Int
    let started: UInt64
    let recorder: @Sendable () -> (any RecordedSegments)?
    let examples: RejectExamples
    /// Nil when no metrics are made of spans.
    let spanMetrics: SpanMetrics?
    private let bodyReceiver: StatsDReceiver
    private let bodyLock = Mutex(())

    /// - Parameters:
    ///   - now: Unix time in nanoseconds.
    ///   - dialect: how lines are read, by every receiver.
    ///   - owner: whose metrics these are; has a dialect of its own. Nil: the default tenant's.
    ///   - selfMetrics: more of Crest's own families, asked for on each scrape; one that has the name of a built-in
    ///     family takes its place.
    ///   - recorder: the segments of recorded seconds; nil when nothing is recorded.
    ///   - spanSeries: series that may be made of spans, of each family; 0 for none.
    ///   - nativeSchema: the finest schema of native histograms on a scrape: 5 is 1.1 % at worst.
    package init(
        engine: MetricsEngine = MetricsEngine(), ledger: Ledger, now: @escaping @Sendable () -> UInt64,
        dialect: StatsDDialect = StatsDDialect(), owner: MetricsOwner? = nil,
        selfMetrics: @escaping @Sendable () -> [SelfMetricFamily] = { [] },
        recorder: @escaping @Sendable () -> (any RecordedSegments)? = { nil }, spanSeries: Int = 0,
        nativeSchema: Int = 5
    ) {
        let owner = owner ?? MetricsOwner(dialect: dialect)
        self.owner = owner
        spanMetrics =
            spanSeries > 0
            ? SpanMetrics(
                engine: engine, tenant: owner.tenant, seriesLimit: spanSeries,
                waitingBytes: owner.isDefault ? Limits.spanMetricsWaitingBytes : Limits.tenantSpansWaitingBytes) : nil
        self.engine = engine
        self.ledger = ledger
        self.now = now
        self.selfMetrics = selfMetrics
        self.recorder = recorder
        self.nativeSchema = nativeSchema
        started = now()
        examples = RejectExamples(now: now)
        bodyReceiver = StatsDReceiver(
            engine: engine, ledger: ledger, counters: owner.counters, dialects: owner.dialects, examples: examples,
            outcomes: owner.outcomes)
    }

    /// A service for another tenant, with the same clock, dialect and ledger.
    /// - Parameter recorder: nil when nothing is recorded.
    package func beside(
        _ tenant: String, engine: MetricsEngine, recorder: (any RecordedSegments)?, spanSeries: Int
    ) -> MetricsService {
        MetricsService(
            engine: engine, ledger: ledger, now: now, owner: owner.other(tenant), recorder: { recorder },
            spanSeries: spanSeries, nativeSchema: nativeSchema)
    }

    /// Counts lines of a tenant that a crash has cost.
    package func noteLinesLost(_ count: UInt64) { ledger.linesLostAtCrash.add(count, ordering: .relaxed) }

    /// Reads lines in another way from now on. Series that the old rules made stay until they expire.
    package func replace(_ dialect: StatsDDialect) { owner.dialects.replace(dialect) }

    /// A receiver for one more receive thread.
    package func makeReceiver() -> StatsDReceiver {
        StatsDReceiver(
            engine: engine, ledger: ledger, counters: owner.counters, dialects: owner.dialects, examples: examples,
            outcomes: owner.outcomes)
    }

    /// Takes closed seconds over from the receivers. Call once a second; scrapes and queries do it themselves.
    package func advance() {
        bodyLock.withLock { _ in if bodyReceiver.isPending { bodyReceiver.tick(nowNanoseconds: now()) } }
        // With a log its own thread does that, ten times as often.
        if !engine.isLogged { spanMetrics?.tick(nowNanoseconds: now()) }
        engine.advance(nowNanoseconds: Int64(clamping: now()))
    }

    /// Applies the lines of one HTTP body; from any thread. They are in every scrape that starts 1.5 s later; without a
    /// metrics log in every one that starts after the return.
    package func receive(body: [UInt8]) -> LineReport {
        let time = now()
        let isLogged = engine.isLogged
        return bodyLock.withLock { _ in
            let report = body.withUnsafeBytes {
                bodyReceiver.receive(body: $0, nowNanoseconds: time, closes: !isLogged)
            }
            if bodyReceiver.isPending, !isLogged {
                // The ring was full: make room and hand over again.
                engine.advance(nowNanoseconds: Int64(clamping: time))
                bodyReceiver.finish()
            }
            return report
        }
    }

    /// Hands over what came by HTTP. Call when no more requests come, before the log is closed.
    package func finish() {
        bodyLock.withLock { _ in bodyReceiver.finish() }
        spanMetrics?.finish(nowNanoseconds: now())
    }

    package var handlers: MetricsHandlers {
        MetricsHandlers(
            statsD: { [self] in postStatsD($0) }, scrape: { [self] in scrape($0) },
            series: { [self] in listSeries($0) }, seriesRange: { [self] in seriesRange($0, $1) },
            cardinality: { [self] in cardinality($0) }, conflicts: { [self] in conflicts($0) },
            top: { [self] in top($0) }, rejects: { [self] in listRejects($0) }, explain: { [self] in explain($0) },
            points: { [self] in receive(points: $0) },
            remoteWrite: { [self] in receive(remoteWrite: $0) },
            spans: { [self] in spanMetrics?.note($0) })
    }
}

/// The log's view of the engine, and of the lines that come by HTTP and have no thread that closes their seconds.
extension MetricsService: MetricsLogSource {
    package func holdForLog() { engine.holdForLog() }

    package func takeClosed() -> MetricsLogBatch {
        let time = now()
        bodyLock.withLock { _ in bodyReceiver.tick(nowNanoseconds: time) }
        spanMetrics?.tick(nowNanoseconds: time)
        return engine.takeClosed()
    }

    package func settle() { engine.settle() }
    package func forEachStateRecord(_ body: (MetricsLogRecord) -> Bool) { engine.forEachStateRecord(body) }
    package func restore(_ record: MetricsLogRecord) -> Bool { engine.restore(record) }
}
