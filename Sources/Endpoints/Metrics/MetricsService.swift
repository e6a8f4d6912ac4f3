package import MetricsEngine
internal import Synchronization
package import Telemetry

/// The metrics side of the daemon: one engine, its receivers and its endpoints.
package final class MetricsService: Sendable {
    package let engine: MetricsEngine
    let ledger: Ledger
    let counters = LineCounters()
    let now: @Sendable () -> UInt64
    let selfMetrics: @Sendable () -> [SelfMetricFamily]
    let nativeSchema: Int
    let started: UInt64
    private let bodyReceiver: StatsDReceiver
    private let bodyLock = Mutex(())

    /// - Parameters:
    ///   - now: Unix time in nanoseconds.
    ///   - selfMetrics: more of Crest's own families, asked for on each scrape; one that has the name of a built-in
    ///     family takes its place.
    ///   - nativeSchema: the finest schema of native histograms on a scrape: 5 is 1.1 % at worst.
    package init(
        engine: MetricsEngine = MetricsEngine(), ledger: Ledger, now: @escaping @Sendable () -> UInt64,
        selfMetrics: @escaping @Sendable () -> [SelfMetricFamily] = { [] }, nativeSchema: Int = 5
    ) {
        self.engine = engine
        self.ledger = ledger
        self.now = now
        self.selfMetrics = selfMetrics
        self.nativeSchema = nativeSchema
        started = now()
        bodyReceiver = StatsDReceiver(engine: engine, ledger: ledger, counters: counters)
    }

    /// A receiver for one more receive thread.
    package func makeReceiver(signPolicy: GaugeSignPolicyOption = .auto) -> StatsDReceiver {
        StatsDReceiver(engine: engine, ledger: ledger, counters: counters, signPolicy: signPolicy)
    }

    /// Takes closed seconds over from the receivers. Call once a second; scrapes and queries do it themselves.
    package func advance() {
        engine.advance(nowNanoseconds: Int64(clamping: now()))
    }

    /// Applies the lines of one HTTP body; from any thread. They are in every scrape that starts after the return.
    package func receive(body: [UInt8]) -> LineReport {
        let time = now()
        return bodyLock.withLock { _ in
            let report = body.withUnsafeBytes { bodyReceiver.receive(body: $0, nowNanoseconds: time) }
            if bodyReceiver.isPending {
                // The ring was full: make room and hand over again.
                engine.advance(nowNanoseconds: Int64(clamping: time))
                _ = bodyReceiver.receive(body: UnsafeRawBufferPointer(start: nil, count: 0), nowNanoseconds: time)
            }
            return report
        }
    }

    package var handlers: MetricsHandlers {
        MetricsHandlers(
            statsD: { [self] in postStatsD($0) }, scrape: { [self] in scrape($0) },
            series: { [self] in listSeries($0) }, points: { [self] in receive(points: $0) })
    }
}
