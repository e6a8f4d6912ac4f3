internal import Synchronization
internal import Telemetry

/// Batches that wait for the committer, bounded in bytes, in all and for each tenant. Any thread adds, one takes.
final class CommitQueue: Sendable {
    struct Request: Sendable {
        let record: WALRecord
        let completion: @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
        /// ``MonotonicTime``.
        let queuedAt = MonotonicTime.now()
    }

    private struct Content {
        var lanes = TenantLanes<Request>()
        var spans = 0
        /// What every new request gets; nil while requests are taken.
        var refusal: CommitRefusal?
        /// Spans taken out whose fate is not known yet.
        var spansTaken = 0
    }

    private let byteLimit: Int
    private let content = Mutex(Content())

    init(byteLimit: Int) { self.byteLimit = byteLimit }

    /// Nil when the request was taken. A request larger than the whole queue is taken when the queue is empty.
    func append(_ request: Request) -> CommitRefusal? {
        let tenant = request.record.batch.origin.tenant
        let bytes = request.record.byteCount
        return content.withLock { content in
            if let refusal = content.refusal { return refusal }
            guard content.lanes.hasRoom(for: bytes, of: tenant, limit: byteLimit) else {
                return .busy(retryAfter: 1)
            }
            content.lanes.append(request, bytes: bytes, tenant: tenant)
            content.spans += request.record.batch.spans.count
            return nil
        }
    }

    /// Takes the next group off: at most so many bytes and requests, but always one request if there is any.
    func take(bytes: Int, requests: Int) -> [Request] {
        content.withLock { content in
            let group = content.lanes.take(bytes: bytes, count: requests)
            for request in group {
                content.spans -= request.record.batch.spans.count
                content.spansTaken += request.record.batch.spans.count
            }
            return group
        }
    }

    /// Tells that the taken requests were stored or refused.
    func settle(_ group: [Request]) {
        let spans = group.reduce(0) { $0 + $1.record.batch.spans.count }
        content.withLock { $0.spansTaken -= spans }
    }

    /// Refuses every request from now on; nil ends that.
    func refuse(_ refusal: CommitRefusal?) { content.withLock { $0.refusal = refusal } }

    var isEmpty: Bool { content.withLock { $0.lanes.count == 0 } }
    /// Bytes and spans waiting, spans of the group in work included.
    var depth: (bytes: Int, spans: Int) { content.withLock { ($0.lanes.bytes, $0.spans + $0.spansTaken) } }
}
