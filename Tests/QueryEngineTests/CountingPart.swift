import QueryEngine
import Synchronization
import Telemetry
import TestKit

final class ReadCounter: Sendable {
    private let value = Atomic<Int>(0)
    var count: Int { value.load(ordering: .relaxed) }
    func add() { value.add(1, ordering: .relaxed) }
}

/// Counts the searches made in a part.
struct CountingPart: SpanPart {
    let inner: MemoryPart
    let counter: ReadCounter

    var starts: ClosedRange<UInt64> { inner.starts }
    var spanCount: Int { inner.spanCount }

    func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        counter.add()
        return try inner.extents(matching: filter, budget: budget)
    }

    func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent? {
        inner.extent(of: traceID, tenant: tenant)
    }

    func spans(of traceID: TraceID, tenant: String, budget: QueryBudget) throws(ReadError) -> [SpanRecord] {
        try inner.spans(of: traceID, tenant: tenant, budget: budget)
    }
}

struct PartsSource: SpanSource {
    let list: [any SpanPart]

    func parts() -> [any SpanPart] { list }
    func services(tenant: String) -> [String] { [] }
    func operations(service: String?, tenant: String) -> [Operation] { [] }
}
