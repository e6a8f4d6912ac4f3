internal import Synchronization
package import Telemetry
package import WireFormats

/// Follows the batches of Jaeger clients by the sequence numbers and the drops that they report, and counts in the
/// ledger what never arrived.
///
/// A client is known by its process tag `client-uuid`. At most ``Limits/jaegerClients`` are remembered, in two
/// generations: when the younger one is full, the older one is forgotten. A client that comes back later begins anew.
/// Source: schemas/wire/jaeger-thrift.md, "Sequence numbers and client statistics".
package final class JaegerClients: Sendable {
    private struct Client {
        var sequence: Int64?
        var drops = JaegerClientDrops()
    }

    private struct Generations {
        var young: [String: Client] = [:]
        var old: [String: Client] = [:]
    }

    private let generations = Mutex(Generations())
    private let generationLimit: Int

    package init(limit: Int = Limits.jaegerClients) { generationLimit = max(limit / 2, 1) }

    /// Clients remembered.
    package var count: Int {
        generations.withLock { generations in
            generations.young.count + generations.old.keys.count { !generations.young.keys.contains($0) }
        }
    }

    package func note(_ report: JaegerClientReport, ledger: Ledger) {
        guard !report.client.isEmpty else { return }
        generations.withLock { generations in
            var client = generations.young[report.client] ?? generations.old[report.client] ?? Client()
            var isLate = false
            if let sequence = report.sequence { isLate = Self.follow(&client, sequence, ledger) }
            // What a late batch says is older than what is known.
            if let drops = report.drops, !isLate { Self.follow(&client, drops, ledger) }
            generations.young[report.client] = client
            guard generations.young.count >= generationLimit else { return }
            let forgotten = generations.old.keys.count { !generations.young.keys.contains($0) }
            ledger.jaegerClientsForgotten.add(UInt64(forgotten), ordering: .relaxed)
            generations.old = generations.young
            generations.young = [:]
        }
    }

    /// A sequence number this far from the last one is a new beginning and no gap.
    private static let farthestStep: Int64 = 1 << 20

    /// - Returns: whether a later batch was there before.
    private static func follow(_ client: inout Client, _ sequence: Int64, _ ledger: Ledger) -> Bool {
        ledger.jaegerBatches.add(1, ordering: .relaxed)
        guard let last = client.sequence else {
            client.sequence = sequence
            return false
        }
        let (step, overflow) = sequence.subtractingReportingOverflow(last)
        if overflow || step > farthestStep || step < -farthestStep || (step < 0 && sequence <= 1) {
            client.sequence = sequence
            return false
        }
        guard step > 0 else {
            ledger.jaegerBatchesLate.add(1, ordering: .relaxed)
            return true
        }
        ledger.jaegerBatchesMissing.add(UInt64(step - 1), ordering: .relaxed)
        client.sequence = sequence
        return false
    }

    private static func follow(_ client: inout Client, _ drops: JaegerClientDrops, _ ledger: Ledger) {
        add(drops.fullQueue, since: client.drops.fullQueue, .fullQueue, ledger)
        add(drops.tooLarge, since: client.drops.tooLarge, .tooLarge, ledger)
        add(drops.failedToEmit, since: client.drops.failedToEmit, .failedToEmit, ledger)
        client.drops = drops
    }

    /// The numbers run since the client's start; a smaller one than before is that of a client started again.
    private static func add(_ count: Int64, since last: Int64, _ cause: JaegerClientDrop, _ ledger: Ledger) {
        let growth = count > last && last >= 0 ? count - last : 0
        // A stranger's number; the cap keeps the sum from ever wrapping.
        if growth > 0 { ledger.jaegerClientDrops.add(UInt64(min(growth, 1 << 31)), cause) }
    }
}
