internal import MetricsEngine
internal import Synchronization
internal import Telemetry

/// Rate, errors and durations of every operation, made of all spans that were stored, before anything is thinned.
///
///     traces_spanmetrics_latency{service, span_name, span_kind, status_code}        histogram, seconds, with exemplars
///     traces_spanmetrics_calls_total{...}                                           its observations
///
/// Who stores a batch only leaves a reference to it; the spans are counted where closed seconds are taken, a tenth of a
/// second later. What waits is bounded, and what finds no room is counted.
/// Source: schemas/wire/span-metrics.md.
final class SpanMetrics: Sendable {
    private struct Waiting {
        var batches: [SpanBatch] = []
        var spans = 0
        var skipped: UInt64 = 0
    }

    private let waiting = Mutex(Waiting())
    private let meter: Mutex<SpanMeter>
    private let waitingLimit: Int

    /// - Parameters:
    ///   - seriesLimit: series of each of the two families.
    ///   - waitingLimit: spans that may wait.
    init(engine: MetricsEngine, seriesLimit: Int, waitingLimit: Int = Limits.spanMetricsWaiting) {
        self.waitingLimit = waitingLimit
        meter = Mutex(SpanMeter(engine, seriesLimit: seriesLimit))
    }

    /// Takes a batch that is stored; from any thread, in no time.
    func note(_ batch: SpanBatch) {
        // Metrics have no tenant: only the default one's spans are in them.
        guard batch.origin.tenant == BatchOrigin.defaultTenant else { return }
        waiting.withLock { waiting in
            guard waiting.spans + batch.spans.count <= waitingLimit else {
                waiting.skipped &+= UInt64(batch.spans.count)
                return
            }
            waiting.spans += batch.spans.count
            waiting.batches.append(batch)
        }
    }

    /// Counts what waits and closes the second when it is over.
    func tick(nowNanoseconds: UInt64) {
        let batches = takeWaiting()
        meter.withLock { meter in
            // The second that is open is closed first: what waited belongs to the one that follows.
            meter.tick(nowNanoseconds)
            if !batches.isEmpty { meter.lookForTargets() }
            for batch in batches { meter.record(batch) }
        }
    }

    /// Counts what waits and hands everything over.
    func finish(nowNanoseconds: UInt64) {
        let batches = takeWaiting()
        meter.withLock { meter in
            for batch in batches { meter.record(batch) }
            meter.flush(nowNanoseconds)
        }
    }

    private func takeWaiting() -> [SpanBatch] {
        waiting.withLock { waiting in
            defer {
                waiting.batches = []
                waiting.spans = 0
            }
            return waiting.batches
        }
    }

    var selfMetrics: [SelfMetricFamily] {
        let skipped = waiting.withLock { $0.skipped }
        let recorded = meter.withLock { $0.recorded }
        return [
            .counter("crest_span_metrics_spans_total", "Stored spans that metrics were made of.", recorded),
            .counter(
                "crest_span_metrics_skipped_total", "Stored spans that metrics were not made of for want of room.",
                skipped),
        ]
    }
}
