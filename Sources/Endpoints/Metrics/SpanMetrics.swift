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

/// Counts spans in a shard of its own. Confined to the lock of ``SpanMetrics``.
private struct SpanMeter: ~Copyable {
    private let engine: MetricsEngine
    private let shard: MetricsShard
    private let seriesLimit: Int
    /// What tells operations of one service apart, as bytes: kind, status, name.
    private let scratch: UnsafeMutableRawBufferPointer
    private(set) var recorded: UInt64 = 0

    private static let bounds = (0..<14).map { 0.002 * Double(1 << $0) }
    private static let headBytes = 2

    init(_ engine: MetricsEngine, seriesLimit: Int) {
        self.engine = engine
        self.seriesLimit = seriesLimit
        shard = engine.makeShard(keyCapacity: 1 << 17, countsLines: false)
        scratch = .allocate(byteCount: Self.headBytes + Limits.spanMetricLabelBytes, alignment: 8)
    }

    deinit { scratch.deallocate() }

    func tick(_ nowNanoseconds: UInt64) { shard.tick(nowNanoseconds: Int64(clamping: nowNanoseconds)) }

    func flush(_ nowNanoseconds: UInt64) { shard.flush(nowNanoseconds: Int64(clamping: nowNanoseconds)) }

    mutating func record(_ batch: SpanBatch) {
        var count: UInt64 = 0
        batch.arena.withUnsafeBytes { arena in
            for span in batch.spans where !span.marks.contains(.noDuration) {
                let resource = batch.scopes[Int(span.scope)].resource
                let service = Self.label(batch.resources[Int(resource)].serviceName, in: arena)
                record(span, service: service, name: Self.label(span.name, in: arena))
                count &+= 1
            }
        }
        recorded &+= count
    }

    /// The bytes of a slice as far as a label may have them; no character is cut.
    private static func label(_ slice: ByteSlice, in arena: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let start = Int(slice.offset)
        var count = Int(slice.count)
        if count > Limits.spanMetricLabelBytes {
            count = Limits.spanMetricLabelBytes
            while count > 0, arena[start + count] & 0xc0 == 0x80 { count -= 1 }
        }
        return UnsafeRawBufferPointer(rebasing: arena[start..<start + count])
    }

    private func record(_ span: SpanRow, service: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer) {
        scratch[0] = span.kind
        scratch[1] = span.status
        if let base = name.baseAddress {
            scratch.baseAddress?.advanced(by: Self.headBytes).copyMemory(from: base, byteCount: name.count)
        }
        let key = UnsafeRawBufferPointer(rebasing: scratch[..<(Self.headBytes + name.count)])
        let sample = MetricSample(value: Double(span.duration) / 1e6, weight: span.weight, kind: .timer)
        for _ in 0..<2 {
            let missing = shard.observe(
                sample, trace: span.traceID, span: SpanID(span.spanID), name: service, tags: key)
            guard missing != nil else { return }
            let series = engine.register(identity(span, service: service, name: name))
            shard.bind(name: service, tags: key, kind: .timer, to: series)
        }
    }

    private func identity(
        _ span: SpanRow, service: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer
    ) -> MetricIdentity {
        let labels = [
            MetricLabel(key: Array("service".utf8), value: Array(service)),
            MetricLabel(key: Array("span_name".utf8), value: Array(name)),
            MetricLabel("span_kind", Self.kinds[min(Int(span.kind), Self.kinds.count) % Self.kinds.count]),
            MetricLabel("status_code", Self.statuses[min(Int(span.status), Self.statuses.count) % Self.statuses.count]),
        ]
        var identity = MetricIdentity(name: Array("traces_spanmetrics_latency".utf8), labels: labels, kind: .timer)
        identity.isExactName = true
        identity.buckets = Self.bounds
        identity.countName = Array("traces_spanmetrics_calls".utf8)
        identity.help = "Durations of spans, by operation"
        identity.seriesLimit = seriesLimit
        return identity
    }

    /// By OTLP's numbers; what those do not have counts as the first.
    private static let kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
        .map { "SPAN_KIND_" + $0 }
    private static let statuses = ["UNSET", "OK", "ERROR"].map { "STATUS_CODE_" + $0 }
}
