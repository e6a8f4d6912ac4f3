internal import Synchronization
internal import Telemetry
internal import WireFormats

/// The way of decoded spans into the store, the same for every wire format: count, hand over, answer.
struct SpanIntake: Sendable {
    let call: Call

    /// - Parameter success: makes the answer; called when the batch is as durable as promised, or at once when there
    ///   is nothing to store.
    func accept(
        _ decoded: DecodedSpans, reply: @escaping @Sendable (Response) -> Void,
        success: @escaping @Sendable () -> Response
    ) {
        let call = call
        call.context.take(decoded) { result in
            switch result {
            case .success(let receipt): reply(success().promising(receipt))
            case .failure(let refusal): reply(call.dialect.busy(refusal, for: call.request, ledger: call.ledger))
            }
        }
    }
}

extension EndpointContext {
    /// Counts spans and hands them over.
    /// - Parameter completion: called once, from any thread: with a receipt when the batch is as durable as promised,
    ///   or at once when there is nothing to store; with a refusal when nothing of it was stored.
    func take(
        _ decoded: DecodedSpans, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) {
        let ledger = ledger
        let spanCount = decoded.batch.spans.count
        ledger.spansReceived.add(UInt64(decoded.received), ordering: .relaxed)
        for (reason, count) in decoded.rejected { ledger.spansRejected.add(UInt64(count), reason) }
        guard spanCount > 0 else {
            return completion(
                .success(CommitReceipt(sequence: daemon.durableSequence(), durability: durability)))
        }
        let truncated = decoded.batch.spans.count { $0.marks.contains(.truncated) }
        ledger.spansTruncated.add(UInt64(truncated), ordering: .relaxed)
        let repaired = decoded.batch.spans.count { $0.marks.contains(.repairedText) }
        ledger.spansRepaired.add(UInt64(repaired), ordering: .relaxed)
        ledger.spansInFlight.add(Int64(spanCount), ordering: .relaxed)
        let (batch, makeMetrics) = (decoded.batch, metrics.spans)
        sink.accept(batch) { result in
            switch result {
            case .success:
                ledger.spansAcknowledged.add(UInt64(spanCount), ordering: .relaxed)
                makeMetrics(batch)
            case .failure(let refusal): ledger.spansRejected.add(UInt64(spanCount), refusal.spanReason)
            }
            ledger.spansInFlight.subtract(Int64(spanCount), ordering: .relaxed)
            completion(result)
        }
    }
}

extension Response {
    /// Says in the headers what the answer promises, and up to which record.
    fileprivate func promising(_ receipt: CommitReceipt) -> Response {
        var response = self
        response.headers.append(("crest-durability", receipt.durability.rawValue))
        response.headers.append(("crest-seq", String(receipt.sequence)))
        return response
    }
}

extension CommitRefusal {
    fileprivate var spanReason: SpanRejection {
        switch self {
        case .busy, .stopping: .busy
        case .readOnly: .readOnly
        }
    }
}

extension Call {
    /// The plain body, or the refusal that its encoding or size calls for.
    /// - Parameter corruptText: what the dialect says about damaged compressed bytes.
    func plainBody(corruptText: String? = nil, impliesSnappy: Bool = false) -> Result<[UInt8], RefusedBody> {
        do { return .success(try request.plainBody(impliesSnappy: impliesSnappy)) } catch {
            switch error {
            case .tooLarge(let limit):
                return .failure(RefusedBody(dialect.tooLarge(limit: limit, for: request, ledger: ledger)))
            case .unknownEncoding(let name):
                return .failure(RefusedBody(dialect.unknownEncoding(name, for: request, ledger: ledger)))
            case .corrupt(let encoding):
                let text = corruptText ?? "the body is not valid \(encoding), or is cut short"
                return .failure(RefusedBody(dialect.malformed(text, for: request, ledger: ledger)))
            }
        }
    }
}

/// A body that was refused, with the answer to give.
struct RefusedBody: Error {
    let response: Response
    init(_ response: Response) { self.response = response }
}
