internal import Synchronization
internal import Telemetry

/// Batches that wait for the committer, bounded in bytes. Any thread adds, one takes.
final class CommitQueue: Sendable {
    struct Request: Sendable {
        let record: WALRecord
        let completion: @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
        /// ``MonotonicTime``.
        let queuedAt = MonotonicTime.now()
    }

    private struct Content {
        var requests: [Request] = []
        var bytes = 0
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
        content.withLock { content in
            if let refusal = content.refusal { return refusal }
            let bytes = request.record.byteCount
            guard content.requests.isEmpty || content.bytes + bytes <= byteLimit else {
                return .busy(retryAfter: 1)
            }
            content.requests.append(request)
            content.bytes += bytes
            content.spans += request.record.batch.spans.count
            return nil
        }
    }

    /// Takes the next group off: at most so many bytes and requests, but always one request if there is any.
    func take(bytes: Int, requests: Int) -> [Request] {
        content.withLock { content in
            var total = 0
            var count = 0
            for request in content.requests.prefix(requests) {
                total += request.record.byteCount
                if count > 0, total > bytes { break }
                count += 1
            }
            guard count > 0 else { return [] }
            let group = Array(content.requests.prefix(count))
            content.requests.removeFirst(count)
            for request in group {
                content.bytes -= request.record.byteCount
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

    var isEmpty: Bool { content.withLock { $0.requests.isEmpty } }
    /// Bytes and spans waiting, spans of the group in work included.
    var depth: (bytes: Int, spans: Int) { content.withLock { ($0.bytes, $0.spans + $0.spansTaken) } }
}
