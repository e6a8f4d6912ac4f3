internal import Endpoints
internal import QueryEngine
internal import SegmentStore
internal import Synchronization
internal import Telemetry

/// The segment store as the endpoints see it, from before it is open until after it is closed.
final class StoreDoor: SpanSink, SpanSource {
    private let opened = Mutex<SegmentStore?>(nil)

    /// Nil until recovery is done.
    var store: SegmentStore? { opened.withLock { $0 } }

    func open(_ store: SegmentStore) { opened.withLock { $0 = store } }

    func accept(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) {
        guard let store else { return completion(.failure(.busy(retryAfter: 1))) }
        store.append(batch, completion: completion)
    }

    func parts() -> [any SpanPart] { store?.parts() ?? [] }

    func services(tenant: String) -> [String] { store?.services(tenant: tenant) ?? [] }

    func operations(service: String?, tenant: String) -> [Operation] {
        store?.operations(service: service, tenant: tenant) ?? []
    }
}

extension StorePart: SpanPart {}
