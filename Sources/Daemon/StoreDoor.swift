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

    /// Deletes traces of a tenant.
    func delete(_ traceIDs: [TraceID], tenant: String) -> Result<Int, DeletionRefusal> {
        guard let store else { return .failure(.busy("the store is not open")) }
        do throws(DeletionError) {
            return .success(try store.delete(traceIDs, tenant: tenant))
        } catch {
            switch error {
            case .read(let error): return .failure(.failed("\(error)"))
            case .disk(let error): return .failure(.busy("the deletion could not be written: \(error)"))
            case .tooMany(let limit): return .failure(.busy("\(limit) deletions wait for compaction"))
            case .closed: return .failure(.busy("the store is closed"))
            }
        }
    }

    /// Pins a trace of a tenant.
    func pin(_ traceID: TraceID, tenant: String) -> Result<Bool, PinRefusal> {
        change { (store) throws(PinError) in try store.pin(traceID, tenant: tenant) }
    }

    func unpin(_ traceID: TraceID, tenant: String) -> Result<Bool, PinRefusal> {
        change { (store) throws(PinError) in try store.unpin(traceID, tenant: tenant) }
    }

    func pins(tenant: String) -> [PinFacts] {
        store?.pins(tenant: tenant).map {
            PinFacts(traceID: $0.traceID, createdUnixNano: $0.created)
        } ?? []
    }

    private func change(_ body: (SegmentStore) throws(PinError) -> Bool) -> Result<Bool, PinRefusal> {
        guard let store else { return .failure(.busy("the store is not open")) }
        do throws(PinError) { return .success(try body(store)) } catch {
            switch error {
            case .unknown: return .failure(.unknown)
            case .tooMany(let limit):
                return .failure(.full("\(limit) traces are pinned, as many as can be; unpin some first"))
            case .full(let bytes, let limit):
                return .failure(.full("pinned traces have \(bytes) bytes of the \(limit) set aside for them"))
            case .read(let error): return .failure(.failed("\(error)"))
            case .disk(let error): return .failure(.busy("the pins could not be written: \(error)"))
            case .closed: return .failure(.busy("the store is closed"))
            }
        }
    }

    func parts() -> [any SpanPart] { store?.parts() ?? [] }

    func services(tenant: String) -> [String] { store?.services(tenant: tenant) ?? [] }

    func operations(service: String?, tenant: String) -> [Operation] {
        store?.operations(service: service, tenant: tenant) ?? []
    }
}

extension StorePart: SpanPart {}
