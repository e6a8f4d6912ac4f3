package import Telemetry

/// Takes span batches for storage. Implemented over the segment store by the daemon, and by tests.
package protocol SpanSink: Sendable {
    /// Hands over a batch. `completion` is called once, from any thread: with a receipt when the batch is as durable
    /// as the store promises and visible to the next query, or with a refusal when nothing of it was stored.
    func accept(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void)
}
