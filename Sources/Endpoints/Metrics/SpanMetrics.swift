internal import MetricsEngine
internal import Synchronization
internal import Telemetry

/// Rate, errors and durations of every operation, made of all spans that were stored, before anything is thinned.
///
///     traces_spanmetrics_latency{service, span_name, span_kind, status_code}        histogram, seconds, with exemplars
///     traces_spanmetrics_calls_total{...}                                           its observations
///
/// Who stores a batch only leaves a reference to it; the spans are counted where closed seconds are taken, a tenth of a
/// second later. What waits is bounded in bytes; who finds no room counts the batch himself, so that none is left out.
/// Source: schemas/wire/span-metrics.md.
final class SpanMetrics: Sendable {
    private struct Waiting {
        var batches: [SpanBatch] = []
        var bytes = 0
    }

    private let waiting = Mutex(Waiting())
    private let meter: Mutex<SpanMeter>
    private let waitingBytes: Int
    private let tenant: String

    /// - Parameters:
    ///   - tenant: whose spans are counted.
    ///   - seriesLimit: series of each of the two families.
    ///   - waitingBytes: of batches that may wait.
    init(
        engine: MetricsEngine, tenant: String, seriesLimit: Int, waitingBytes: Int = Limits.spanMetricsWaitingBytes
    ) {
        self.tenant = tenant
        self.waitingBytes = waitingBytes
        meter = Mutex(SpanMeter(engine, seriesLimit: seriesLimit))
    }

    /// Takes a batch that is stored; from any thread, and in no time unless very much waits.
    func note(_ batch: SpanBatch) {
        guard batch.origin.tenant == tenant else { return }
        let bytes = batch.byteCount
        let isWaiting = waiting.withLock { waiting in
            guard waiting.bytes + bytes <= waitingBytes else { return false }
            waiting.bytes += bytes
            waiting.batches.append(batch)
            return true
        }
        if !isWaiting { meter.withLock { $0.record(batch) } }
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
                waiting.bytes = 0
            }
            return waiting.batches
        }
    }

    var selfMetrics: [SelfMetricFamily] {
        let recorded = meter.withLock { $0.recorded }
        return [.counter("crest_span_metrics_spans_total", "Stored spans that metrics were made of.", recorded)]
    }
}
