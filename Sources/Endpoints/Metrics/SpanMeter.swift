internal import MetricsEngine
internal import Telemetry

/// Counts spans in a shard of its own. Confined to the lock of ``SpanMetrics``.
struct SpanMeter: ~Copyable {
    private let engine: MetricsEngine
    private let shard: MetricsShard
    private let seriesLimit: Int
    /// What tells operations of one service apart, as bytes: kind, status, name.
    private let scratch: UnsafeMutableRawBufferPointer
    private(set) var recorded: UInt64 = 0
    /// What clients measure the same operations with, and which of it belongs to each series of ours.
    private var targets = SpanTargets()
    private var targetsBySeries: [UInt32: [SpanTarget]] = [:]
    /// Series that many operations share, which none of them can be told from.
    private var shared: Set<UInt32> = []

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

    /// Learns which series of clients have come or gone.
    mutating func lookForTargets() {
        guard let newer = engine.spanTargets(since: targets.generation) else { return }
        targets = newer
        targetsBySeries.removeAll(keepingCapacity: true)
    }

    mutating func record(_ batch: SpanBatch) {
        var count: UInt64 = 0
        let facts = targets.isEmpty ? nil : SpanRequestKeys(batch)
        batch.arena.withUnsafeBytes { arena in
            for span in batch.spans where !span.marks.contains(.noDuration) {
                let resource = batch.scopes[Int(span.scope)].resource
                let service = Self.label(batch.resources[Int(resource)].serviceName, in: arena)
                let name = Self.label(span.name, in: arena)
                let series = record(span, service: service, name: name)
                if let facts, let series { offer(span, of: series, service: service, name: name, facts) }
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

    /// - Returns: the number of its series.
    private mutating func record(
        _ span: SpanRow, service: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer
    ) -> UInt32? {
        scratch[0] = span.kind
        scratch[1] = span.status
        if let base = name.baseAddress {
            scratch.baseAddress?.advanced(by: Self.headBytes).copyMemory(from: base, byteCount: name.count)
        }
        let key = UnsafeRawBufferPointer(rebasing: scratch[..<(Self.headBytes + name.count)])
        let sample = MetricSample(value: Double(span.duration) / 1e6, weight: span.weight, kind: .timer)
        for _ in 0..<2 {
            if let series = shard.observe(
                sample, trace: span.traceID, span: SpanID(span.spanID), name: service, tags: key)
            {
                return series
            }
            let series = engine.register(identity(span, service: service, name: name))
            if series.isOverflow { shared.insert(series.id) }
            shard.bind(name: service, tags: key, kind: .timer, to: series)
        }
        return nil
    }

    /// Offers a span that serves a request to the timers of its operation.
    private mutating func offer(
        _ span: SpanRow, of series: UInt32, service: UnsafeRawBufferPointer, name: UnsafeRawBufferPointer,
        _ keys: SpanRequestKeys
    ) {
        guard span.kind != Self.clientKind, span.kind != Self.producerKind, !shared.contains(series) else { return }
        let (method, operation) = Self.split(name)
        let own: [SpanTarget]
        if let known = targetsBySeries[series] {
            own = known
        } else {
            let service = Array(service)
            var found = targets.targets(service: service, name: Array(name))
            if let operation { found += targets.targets(service: service, name: Array(operation)) }
            targetsBySeries[series] = found
            own = found
        }
        guard !own.isEmpty else { return }
        let exemplar = Exemplar(
            traceID: span.traceID, spanID: SpanID(span.spanID), value: Double(span.duration) / 1e9, nanoseconds: 0)
        for target in own where keys.agree(span, target, method: method) {
            shard.offer(exemplar, to: target, of: targets)
        }
    }

    private static let clientKind: UInt8 = 3
    private static let producerKind: UInt8 = 4

    /// `GET /buy` is a method and an operation; anything else is an operation as a whole.
    private static func split(
        _ name: UnsafeRawBufferPointer
    ) -> (method: UnsafeRawBufferPointer?, operation: UnsafeRawBufferPointer?) {
        guard let space = name.firstIndex(of: 0x20), space > 0, space < 8,
            name[..<space].allSatisfy({ 0x41...0x5a ~= $0 & 0xdf })
        else { return (nil, nil) }
        return (
            UnsafeRawBufferPointer(rebasing: name[..<space]), UnsafeRawBufferPointer(rebasing: name[(space + 1)...])
        )
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
