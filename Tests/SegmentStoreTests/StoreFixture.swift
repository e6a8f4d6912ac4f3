internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit

/// A store without threads on a simulated disk, and the record of what it promised.
final class StoreFixture {
    let clock = ManualClock()
    var disk: SimulatedDisk
    var store: SegmentStore?
    /// Spans of every acknowledged batch, by tenant.
    var acknowledged: [String: [SpanRecord]] = [:]
    /// The same, batch by batch, with the sequences of their records.
    private var committed: [(sequence: UInt64, tenant: String, spans: [SpanRecord])] = []
    var refusals: [CommitRefusal] = []
    var receipts: [CommitReceipt] = []
    var change: (inout StoreConfiguration) -> Void
    /// What the store gets instead of the disk itself.
    var rules: FaultyDisk.Rules?

    init(disk: SimulatedDisk = SimulatedDisk(), _ change: @escaping (inout StoreConfiguration) -> Void = { _ in }) {
        self.disk = disk
        self.change = change
    }

    var configuration: StoreConfiguration {
        let clock = clock
        var configuration = StoreConfiguration(wallClock: { clock.now })
        configuration.runsThreads = false
        configuration.headBytes = 40_000
        configuration.reservedBytes = 0
        let numbers = Mutex(SeededRandom(seed: 42))
        configuration.random = { numbers.withLock { $0.next() } }
        change(&configuration)
        return configuration
    }

    @discardableResult
    func open() throws -> SegmentStore {
        let door: any Disk = rules.map { FaultyDisk(disk, $0) } ?? disk
        let store = try SegmentStore.open(door, configuration: configuration)
        self.store = store
        return store
    }

    /// Puts batches in the queue, commits them, and notes what was acknowledged.
    func commit(_ batches: [SpanBatch]) {
        guard let store else { return }
        let results = Mutex<[(Int, Result<CommitReceipt, CommitRefusal>)]>([])
        for (index, batch) in batches.enumerated() {
            store.append(batch) { result in results.withLock { $0.append((index, result)) } }
        }
        while store.commitStep() {}
        for (index, result) in results.withLock({ $0 }) {
            switch result {
            case .success(let receipt):
                receipts.append(receipt)
                let batch = batches[index]
                let spans = batch.spans.indices.map { batch.record($0) }
                acknowledged[batch.origin.tenant, default: []] += spans
                committed.append((receipt.sequence, batch.origin.tenant, spans))
            case .failure(let refusal): refusals.append(refusal)
            }
        }
    }

    /// Acknowledged spans whose sync has returned: with durability `interval` not all of them.
    var durable: [String: [SpanRecord]] {
        guard let last = store?.ledgerTerms.durableSequence else { return [:] }
        var durable: [String: Set<SpanRecord>] = [:]
        for record in committed where record.sequence <= last {
            durable[record.tenant, default: []].formUnion(record.spans)
        }
        return acknowledged.reduce(into: [:]) { result, entry in
            result[entry.key] = entry.value.filter { durable[entry.key]?.contains($0) == true }
        }
    }

    /// All spans of a tenant that queries find, over all parts.
    static func spans(of store: SegmentStore, tenant: String) throws -> [SpanRecord] {
        var filter = SpanFilter()
        filter.tenant = tenant
        var found: [SpanRecord] = []
        for part in store.parts() {
            for extent in try part.extents(matching: filter, budget: QueryBudget()) {
                found += try part.spans(of: extent.traceID, tenant: tenant, budget: QueryBudget())
            }
        }
        return found
    }

    /// Acknowledged spans that queries do not find; empty when the promise holds.
    func missing() throws -> [SpanRecord] {
        guard let store else { return [] }
        var missing: [SpanRecord] = []
        for (tenant, spans) in acknowledged {
            let found = Set(try Self.spans(of: store, tenant: tenant))
            missing += spans.filter { !found.contains($0) }
        }
        return missing
    }
}
