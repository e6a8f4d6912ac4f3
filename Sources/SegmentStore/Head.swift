internal import Synchronization
package import Telemetry

/// What is acknowledged and not sealed yet: batches in memory with an index by trace id, queryable at once.
///
/// One writer (the committer), any number of readers. Readers copy references under the lock and work outside of it.
/// Once the committer has put a new head in its place a head never changes again.
package final class Head: Sendable {
    struct Content {
        var batches: [SpanBatch] = []
        /// Of the batches' records.
        var sequences: [UInt64] = []
        var index = TraceIndex()
        var catalog = OperationTable()
        var tenants: [String] = []
        var byteCount = 0
        var earliestStart = UInt64.max
        var latestStart: UInt64 = 0
        var earliestArrival = UInt64.max
        var firstSequence: UInt64 = 0
        var lastSequence: UInt64 = 0
    }

    private let content = Mutex(Content())

    package init() {}

    /// Adds the batch of one record. Sequences grow from call to call, but for what recovery salvages.
    func insert(_ batch: SpanBatch, sequence: UInt64) {
        content.withLock { content in
            let tenant = content.tenantIndex(batch.origin.tenant)
            content.index.insert(
                batch, at: UInt32(truncatingIfNeeded: content.batches.count), tenant: tenant)
            content.catalog.insert(batch, tenant: tenant)
            content.batches.append(batch)
            content.sequences.append(sequence)
            content.byteCount += batch.byteCount
            for span in batch.spans {
                if span.start < content.earliestStart { content.earliestStart = span.start }
                if span.start > content.latestStart { content.latestStart = span.start }
            }
            content.earliestArrival = min(content.earliestArrival, batch.origin.arrival)
            if content.firstSequence == 0 || sequence < content.firstSequence { content.firstSequence = sequence }
            content.lastSequence = max(content.lastSequence, sequence)
        }
    }

    package var spanCount: Int { content.withLock { $0.index.spanCount } }
    package var byteCount: Int { content.withLock { $0.byteCount } }
    package var isEmpty: Bool { content.withLock { $0.batches.isEmpty } }
    package var batches: [SpanBatch] { content.withLock { $0.batches } }
    /// The batches with the sequences of their records.
    var records: (batches: [SpanBatch], sequences: [UInt64]) { content.withLock { ($0.batches, $0.sequences) } }
    /// First and last sequence; (0, 0) when empty.
    package var sequences: (first: UInt64, last: UInt64) {
        content.withLock { ($0.firstSequence, $0.lastSequence) }
    }
    /// `UInt64.max` when empty.
    package var earliestArrival: UInt64 { content.withLock { $0.earliestArrival } }

    /// The head as it is now, for one query.
    package func snapshot(hiding tombstones: Tombstones = Tombstones()) -> HeadSnapshot {
        content.withLock { content in
            let starts =
                content.earliestStart <= content.latestStart ? content.earliestStart...content.latestStart : 0...0
            return HeadSnapshot(
                head: self, batches: content.batches, sequences: content.sequences, starts: starts,
                spanCount: content.index.spanCount, tombstones: tombstones)
        }
    }

    /// Runs `body` on the index; keep it short, the committer waits.
    func withIndex<Result>(_ body: (borrowing Content) -> sending Result) -> Result {
        content.withLock { body($0) }
    }

    /// Services with their operations, each once.
    package func operations(tenant: String) -> [(service: String, operation: Operation)] {
        content.withLock { content in
            guard let tenant = content.tenants.firstIndex(of: tenant) else { return [] }
            return content.catalog.list(tenant: UInt32(tenant))
        }
    }
}

extension Head.Content {
    mutating func tenantIndex(_ tenant: String) -> UInt32 {
        if let index = tenants.firstIndex(of: tenant) { return UInt32(truncatingIfNeeded: index) }
        tenants.append(tenant)
        return UInt32(truncatingIfNeeded: tenants.count - 1)
    }

    func entry(_ traceID: TraceID, _ tenant: String) -> Int? {
        guard let tenant = tenants.firstIndex(of: tenant) else { return nil }
        return index.find(traceID, tenant: UInt32(truncatingIfNeeded: tenant))
    }
}
