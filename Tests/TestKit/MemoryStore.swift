package import QueryEngine
internal import Synchronization
package import Telemetry

/// A part over an array, as slow and as plain as can be: the definition that real parts must agree with.
package struct MemoryPart: SpanPart {
    package let records: [SpanRecord]
    package let tenant: String
    package let starts: ClosedRange<UInt64>
    private var whole: [TraceID: TraceExtent] = [:]

    package init(_ records: [SpanRecord], tenant: String = BatchOrigin.defaultTenant) {
        self.records = records
        self.tenant = tenant
        starts = (records.map(\.start).min() ?? 0)...(records.map(\.start).max() ?? 0)
        for record in records {
            let extent = TraceExtent(traceID: record.traceID, start: record.start, end: record.end)
            whole[record.traceID, default: extent].merge(extent)
        }
    }

    package var spanCount: Int { records.count }

    package func extents(
        matching filter: SpanFilter, budget: QueryBudget
    ) throws(ReadError) -> [TraceExtent] {
        guard filter.tenant == tenant else { return [] }
        do { try budget.charge(records.count) } catch { throw .stopped(error) }
        let ids = Set(records.filter { filter.matches($0) }.map(\.traceID))
        return ids.compactMap { extent(of: $0, tenant: tenant) }
    }

    package func extent(of traceID: TraceID, tenant: String) -> TraceExtent? {
        tenant == self.tenant ? whole[traceID] : nil
    }

    package func spans(
        of traceID: TraceID, tenant: String, budget: QueryBudget
    ) throws(ReadError) -> [SpanRecord] {
        records.filter { $0.traceID == traceID && tenant == self.tenant }
    }
}

/// The whole of a store in memory: what a store means, without how.
package final class MemoryStore: SpanSource {
    private let held: Mutex<[MemoryPart]>

    package init(_ parts: [MemoryPart] = []) { held = Mutex(parts) }

    /// Takes a batch; it is found from now on.
    package func append(_ batch: SpanBatch) {
        let part = MemoryPart(batch.spans.indices.map { batch.record($0) }, tenant: batch.origin.tenant)
        held.withLock { $0.append(part) }
    }

    /// Takes out what is there now of the traces. Spans that come later under the same ids are new.
    /// - Returns: how many of the traces were there.
    package func delete(_ traceIDs: [TraceID], tenant: String) -> Int {
        held.withLock { parts in
            let ids = Set(traceIDs).filter { id in parts.contains { $0.extent(of: id, tenant: tenant) != nil } }
            parts = parts.compactMap { part in
                guard part.tenant == tenant else { return part }
                let left = part.records.filter { !ids.contains($0.traceID) }
                return left.isEmpty ? nil : MemoryPart(left, tenant: tenant)
            }
            return ids.count
        }
    }

    package func parts() -> [any SpanPart] { held.withLock { $0 } }

    package func services(tenant: String) -> [String] {
        Set(records(tenant).map(\.serviceName)).subtracting([""]).sorted()
    }

    package func operations(service: String?, tenant: String) -> [Operation] {
        let chosen = records(tenant).filter { service == nil || $0.serviceName == service }
        return Set(chosen.map { Operation(name: $0.name, kind: SpanKind(rawValue: $0.kind) ?? .unspecified) })
            .sorted { ($0.name, $0.kind.rawValue) < ($1.name, $1.kind.rawValue) }
    }

    /// Every span of a tenant, in order of arrival.
    package func records(_ tenant: String) -> [SpanRecord] {
        held.withLock { $0 }.filter { $0.tenant == tenant }.flatMap(\.records)
    }
}
