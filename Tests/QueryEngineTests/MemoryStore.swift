import QueryEngine
import Telemetry

/// A part over an array, as slow and as plain as can be: the definition that real parts must agree with.
struct MemoryPart: SpanPart {
    let records: [SpanRecord]
    let tenant: String
    let starts: ClosedRange<UInt64>
    private var whole: [TraceID: TraceExtent] = [:]

    init(_ records: [SpanRecord], tenant: String = BatchOrigin.defaultTenant) {
        self.records = records
        self.tenant = tenant
        starts = (records.map(\.start).min() ?? 0)...(records.map(\.start).max() ?? 0)
        for record in records {
            let extent = TraceExtent(traceID: record.traceID, start: record.start, end: record.end)
            whole[record.traceID, default: extent].merge(extent)
        }
    }

    var spanCount: Int { records.count }

    func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        guard filter.tenant == tenant else { return [] }
        do { try budget.charge(records.count) } catch { throw .stopped(error) }
        let ids = Set(records.filter { filter.matches($0) }.map(\.traceID))
        return ids.compactMap { extent(of: $0, tenant: tenant) }
    }

    func extent(of traceID: TraceID, tenant: String) -> TraceExtent? {
        tenant == self.tenant ? whole[traceID] : nil
    }

    func spans(of traceID: TraceID, tenant: String, budget: QueryBudget) throws(ReadError) -> [SpanRecord] {
        records.filter { $0.traceID == traceID && tenant == self.tenant }
    }
}

struct MemorySource: SpanSource {
    var memoryParts: [MemoryPart]

    func parts() -> [any SpanPart] { memoryParts }

    func services(tenant: String) -> [String] {
        Set(memoryParts.flatMap { $0.records.map(\.serviceName) }).sorted()
    }

    func operations(service: String?, tenant: String) -> [Operation] {
        let records = memoryParts.flatMap(\.records).filter { service == nil || $0.serviceName == service }
        let operations = Set(
            records.map { Operation(name: $0.name, kind: SpanKind(rawValue: $0.kind) ?? .unspecified) })
        return operations.sorted { ($0.name, $0.kind.rawValue) < ($1.name, $1.kind.rawValue) }
    }
}

/// A small reproducible generator.
struct Dice {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// 0 ..< sides
    mutating func roll(_ sides: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(sides))
    }
}
