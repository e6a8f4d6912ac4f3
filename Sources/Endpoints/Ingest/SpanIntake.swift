internal import SpanPipeline
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// The way of decoded spans into the store, the same for every wire format: count, hand over, answer.
struct SpanIntake: Sendable {
    let call: Call

    /// The plain body of a request that brings spans, or its refusal.
    /// - Parameter corruptText: what the dialect says about damaged compressed bytes.
    func body(corruptText: String? = nil) -> Result<[UInt8], RefusedBody> {
        guard !call.context.refusesUnread else {
            let answer = call.dialect.busy(.busy(retryAfter: 1), for: call.request, ledger: call.ledger)
            return .failure(RefusedBody(answer))
        }
        return call.plainBody(corruptText: corruptText)
    }

    /// - Parameter success: makes the answer; called when the batch is as durable as promised, or at once when there
    ///   is nothing to store.
    func accept(
        _ offer: SpanOffer, reply: @escaping @Sendable (Response) -> Void,
        success: @escaping @Sendable () -> Response
    ) {
        let call = call
        guard case .taken(let decoded, let shedCount) = offer else {
            return reply(call.dialect.busy(.busy(retryAfter: 1), for: call.request, ledger: call.ledger))
        }
        call.context.take(decoded) { result in
            switch result {
            case .success(let receipt): reply(success().promising(receipt).telling(shed: shedCount))
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
        let received = ledger.spansReceived.add(UInt64(decoded.received), ordering: .relaxed)
        let period = Limits.learnEverySpans
        if received.oldValue / period != received.newValue / period { shedder.learn(decoded.batch) }
        for (reason, count) in decoded.rejected { ledger.spansRejected.add(UInt64(count), reason) }
        guard spanCount > 0 else {
            return completion(
                .success(CommitReceipt(sequence: daemon.durableSequence(), durability: durability)))
        }
        if let refusal = sender?.admit(spans: spanCount) {
            ledger.spansRejected.add(UInt64(spanCount), refusal.spanReason)
            return completion(.failure(refusal))
        }
        let truncated = decoded.batch.spans.count { $0.marks.contains(.truncated) }
        ledger.spansTruncated.add(UInt64(truncated), ordering: .relaxed)
        let repaired = decoded.batch.spans.count { $0.marks.contains(.repairedText) }
        ledger.spansRepaired.add(UInt64(repaired), ordering: .relaxed)
        ledger.spansInFlight.add(Int64(spanCount), ordering: .relaxed)
        let (batch, makeMetrics) = (decoded.batch, metrics.spans)
        sender?.reservation?.waitForStore()
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

    /// Says how many spans were shed, in every protocol; most have no word for it.
    fileprivate func telling(shed count: Int) -> Response {
        guard count > 0 else { return self }
        var response = self
        response.headers.append(("crest-shed", String(count)))
        return response
    }
}

extension CommitRefusal {
    fileprivate var spanReason: SpanRejection {
        switch self {
        case .busy, .stopping: .busy
        case .tenantRate, .sourceRate: .rate
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
            case .noRoom:
                return .failure(RefusedBody(dialect.limited(.memory(.memory), for: request, ledger: ledger)))
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
