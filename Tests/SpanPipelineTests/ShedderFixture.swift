import SpanPipeline
import Synchronization
import Telemetry
import TestKit

/// A shedder with a clock of its own, and what became of every span that was offered to it.
final class ShedderFixture {
    static let second: UInt64 = 1_000_000_000

    let ledger = Ledger()
    let signal = LoadSignal()
    let admission = AdmissionLevel()
    let shedder: LoadShedder
    private let clock = Mutex<UInt64>(1_000 * ShedderFixture.second)
    private(set) var kept: Set<SpanRecord> = []
    private(set) var rescued: Set<SpanRecord> = []
    private(set) var refusedBatches = 0

    init(seed: UInt64 = 1, mixedBatch: MixedBatch = .shed, ringBytes: Int = Limits.regretRingBytes, onset: UInt64 = 0) {
        let holder = Holder()
        shedder = LoadShedder(
            ledger: ledger, signal: signal, admission: admission, mixedBatch: mixedBatch, seed: seed,
            ringBytes: ringBytes, onset: onset, clock: { holder.read() })
        holder.read = { [weak self] in self?.now ?? 0 }
    }

    /// The shedder asks for the time before there is a fixture to give it.
    private final class Holder: @unchecked Sendable {
        var read: () -> UInt64 = { 0 }
    }

    var now: UInt64 { clock.withLock { $0 } }

    func pass(_ nanoseconds: UInt64) {
        clock.withLock { $0 += nanoseconds }
        shedder.expire()
    }

    /// Cuts the admission level as often as that.
    func overload(windows: Int) {
        for _ in 0..<windows { admission.note(requests: 2_000, waited: 2_000 * 30_000_000, now: now) }
    }

    /// Offers spans as one batch. What is rescued counts as stored.
    func offer(_ spans: [SpanRecord], from sender: SpanSender = .client) {
        let batch = SpanBatch(origin: BatchOrigin(arrival: 1), records: spans)
        let seed = shedder.seed(tenant: batch.origin.tenant)
        let decision = shedder.decide(batch.facts(seed: seed), seed: seed, from: sender) { .rows(batch) }
        switch decision.share {
        case .all: kept.formUnion(spans)
        case .some(let selection):
            kept.formUnion(spans.indices.filter { selection.contains($0) }.map { spans[$0] })
        case .none: refusedBatches += 1
        }
        for rescue in decision.rescues { take(rescue) }
    }

    private func take(_ rescue: Rescue) {
        guard case .rows(let batch) = rescue.source else { return }
        var count = 0
        for (index, facts) in batch.facts(seed: rescue.seed).enumerated() where rescue.shed.contains(index) {
            guard rescue.keys.contains(facts.traceKey(seed: rescue.seed)) else { continue }
            var record = batch.record(index)
            record.arrival = 0
            rescued.insert(record)
            count += 1
        }
        shedder.settle(count, isStored: count == rescue.spanCount)
    }

    var shed: UInt64 { ledger.spansShed.total }
    var rejected: UInt64 { ledger.spansRejected.counts.first { $0.reason == .shed }?.count ?? 0 }
    var inFlight: Int64 { ledger.spansInFlight.load(ordering: .relaxed) }

    /// Every shed span is in one place.
    var isBalanced: Bool {
        let found = ledger.spansRescued.load(ordering: .relaxed)
        return shed == rejected + found + UInt64(max(inFlight, 0)) && inFlight >= 0
    }
}

/// A span as the tests need it.
func offered(
    _ trace: UInt64, _ span: UInt64, root: Bool = true, milliseconds: UInt64 = 10, error: Bool = false,
    service: String = "order"
) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 7, low: trace), spanID: SpanID(span), parentID: root ? nil : SpanID(1), name: "get",
        kind: SpanKind.internal.rawValue, start: 0, end: milliseconds * 1_000_000,
        status: error ? SpanStatus.error.rawValue : 0,
        resource: Resource(attributes: [Attribute("service.name", .string(service))], serviceName: service))
}
