internal import Synchronization
internal import Tracing

/// Takes batches from the queue, one after the other, and sees each to its end.
struct BatchSender: Sendable {
    let queue: SpanQueue
    let transport: any SpanTransport
    let policy: RetryPolicy
    let retryLimit: Duration

    /// Returns when the queue is closed and empty, or when its task is cancelled.
    func run() async {
        while let batch = await queue.next() {
            queue.settle(batch, await send(batch))
        }
    }

    private func send(_ batch: SpanQueue.Batch) async -> SpanQueue.Fate {
        let body = batch.body()
        let giveUpAt = ContinuousClock.now + retryLimit
        var attempt = 0
        while !Task.isCancelled {
            queue.countRequest(bytes: body.count, repeated: attempt > 0)
            let outcome = await transport.post(body)
            let now = Int64(DefaultTracerClock.now.nanosecondsSinceEpoch / 1_000_000_000)
            let jitter = Double.random(in: 0..<1)
            switch policy.decide(outcome, attempt: attempt, jitter: jitter, nowSeconds: now) {
            case .accepted:
                guard case .reply(_, _, let rejected) = outcome else { return .acknowledged(rejected: 0) }
                return .acknowledged(rejected: rejected)
            case .refused: return .refused
            case .retry(let delay):
                if ContinuousClock.now + delay > giveUpAt { return .gaveUp }
                // A cancelled sleep ends the loop, which counts the batch as dropped at shutdown.
                do { try await Task.sleep(for: delay) } catch { return .shutdown }
                attempt += 1
            }
        }
        return .shutdown
    }
}
