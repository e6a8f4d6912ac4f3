internal import QueryEngine
internal import SegmentStore
internal import Telemetry
internal import TestKit

/// A store that the contract is checked on, and what may happen to it between two calls without anybody noticing.
protocol ContractStore: AnyObject {
    var source: any SpanSource { get }
    /// Takes a batch, and returns when it is acknowledged.
    func append(_ batch: SpanBatch)
    /// - Returns: how many of the traces were there.
    func delete(_ traceIDs: [TraceID], tenant: String) throws -> Int
    /// Whatever the store does to itself in time: seal, merge, start again.
    func pass(_ random: inout SeededRandom) throws
}

/// The stores that the contract holds for. The segment store is there once a place in which its spans may lie.
enum StoreKind: String, CaseIterable {
    case memory
    case head
    case segments
    case merged
    case restarted
    case mixed

    func make() throws -> any ContractStore {
        self == .memory ? MemoryContractStore() : try SegmentContractStore(self)
    }
}

final class MemoryContractStore: ContractStore {
    private let store = MemoryStore()
    var source: any SpanSource { store }
    func append(_ batch: SpanBatch) { store.append(batch) }
    func delete(_ traceIDs: [TraceID], tenant: String) -> Int { store.delete(traceIDs, tenant: tenant) }
    func pass(_ random: inout SeededRandom) {}
}

/// The segment store on a simulated disk, without threads.
final class SegmentContractStore: ContractStore {
    private let fixture: StoreFixture
    private let kind: StoreKind
    private var store: SegmentStore

    init(_ kind: StoreKind) throws {
        self.kind = kind
        fixture = StoreFixture {
            $0.headBytes = 1 << 20
            $0.compaction.fanIn = 3
            $0.compaction.blockSpans = 16
        }
        store = try fixture.open()
    }

    var source: any SpanSource { SegmentSource(store: store) }

    func append(_ batch: SpanBatch) { fixture.commit([batch]) }

    func delete(_ traceIDs: [TraceID], tenant: String) throws -> Int { try store.delete(traceIDs, tenant: tenant) }

    func pass(_ random: inout SeededRandom) throws {
        switch kind {
        case .memory, .head: break
        case .segments: store.sealNow()
        case .merged:
            store.sealNow()
            while store.compactStep() {}
        case .restarted: try restart(sealing: random.oneIn(2))
        case .mixed:
            switch random.below(5) {
            case 0: break
            case 1, 2: store.sealNow()
            case 3: store.compactStep()
            default: try restart(sealing: random.oneIn(2))
            }
        }
    }

    private func restart(sealing: Bool) throws {
        store.close(sealing: sealing)
        store = try fixture.open()
    }
}

extension StorePart: SpanPart {}

/// The segment store as queries see it.
private struct SegmentSource: SpanSource {
    let store: SegmentStore

    func parts() -> [any SpanPart] { store.parts() }
    func services(tenant: String) -> [String] { store.services(tenant: tenant) }
    func operations(service: String?, tenant: String) -> [Operation] {
        store.operations(service: service, tenant: tenant)
    }
}
