internal import SpanPipeline
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// What of a message's spans goes on to the store.
enum SpanOffer: Sendable {
    /// All that the load allows; the shed ones are counted already.
    case taken(DecodedSpans, shed: Int)
    /// Nothing, and all of it is counted as busy.
    case refused(received: Int)

    /// Spans in the message, good or not.
    var receivedCount: Int {
        switch self {
        case .taken(let decoded, let shed): decoded.received + shed
        case .refused(let received): received
        }
    }

    /// What a partial success says: spans that are not stored, and why.
    var rejection: (count: Int, message: String) {
        guard case .taken(let decoded, let shed) = self else { return (0, "") }
        guard shed > 0 else { return (decoded.rejectedCount, decoded.message) }
        let more = decoded.message.isEmpty ? "" : "; \(decoded.message)"
        return (decoded.rejectedCount + shed, "shed: overload, \(shed)\(more)")
    }
}

extension EndpointContext {
    /// Decodes an OTLP body and sheds what the load asks for.
    func offer(
        _ body: [UInt8], in encoding: OTLPEncoding, _ origin: BatchOrigin, from sender: SpanSender
    ) throws(WireError) -> SpanOffer {
        guard case .protobuf = encoding else { return offer(try encoding.decode(body, origin), from: sender) }
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try offer(bytes, origin, from: sender) { body } }
        }
        return try result.get()
    }

    /// Decodes an OTLP body in protobuf form and sheds what the load asks for; what is not taken is not decoded.
    /// - Parameter kept: the same bytes, to keep; only asked when some are shed.
    func offer(
        _ body: UnsafeRawBufferPointer, _ origin: BatchOrigin, from sender: SpanSender, kept: () -> [UInt8]
    ) throws(WireError) -> SpanOffer {
        guard shedder.isActive else { return .taken(try decodeOTLPTraces(body, origin: origin), shed: 0) }
        let seed = shedder.seed(tenant: origin.tenant)
        var facts: [SpanFacts] = []
        guard try scanOTLPSpans(body, seed: seed, into: &facts) else {
            return .taken(try decodeOTLPTraces(body, origin: origin), shed: 0)
        }
        let decision = shedder.decide(facts, seed: seed, from: spared(sender)) { .otlp(kept(), origin) }
        rescue(decision.rescues)
        switch decision.share {
        case .all: return .taken(try decodeOTLPTraces(body, origin: origin), shed: 0)
        case .none: return .refused(received: facts.count)
        case .some(let selection):
            let shed = facts.count - selection.selectedCount
            return .taken(try decodeOTLPTraces(body, origin: origin, keeping: selection), shed: shed)
        }
    }

    /// Sheds what the load asks for of spans that are decoded.
    func offer(_ decoded: DecodedSpans, from sender: SpanSender) -> SpanOffer {
        let batch = decoded.batch
        guard shedder.isActive, !batch.spans.isEmpty else { return .taken(decoded, shed: 0) }
        let seed = shedder.seed(tenant: batch.origin.tenant)
        let decision = shedder.decide(batch.facts(seed: seed), seed: seed, from: spared(sender)) { .rows(batch) }
        rescue(decision.rescues)
        switch decision.share {
        case .all: return .taken(decoded, shed: 0)
        case .none:
            let others = decoded.received - batch.spans.count
            ledger.spansReceived.add(UInt64(others), ordering: .relaxed)
            for (reason, count) in decoded.rejected { ledger.spansRejected.add(UInt64(count), reason) }
            return .refused(received: decoded.received)
        case .some(let selection):
            return .taken(decoded.keeping(selection), shed: selection.count - selection.selectedCount)
        }
    }

    /// Whether a client's spans are refused whatever they are, so that nothing of the body need be inflated or decoded.
    /// Such a request is counted without its spans, as one that is refused before its body is.
    var refusesUnread: Bool { shedder.signal.state == .red && spared(.client) == .client }

    private func spared(_ sender: SpanSender) -> SpanSender {
        guard case .client = sender, let own = self.sender else { return sender }
        if own.isLight { return .light }
        return own.isCrowded || own.isAlone ? .spared : .client
    }

    /// Counts spans that nobody waits for and hands them over.
    func take(_ offer: SpanOffer) {
        if case .taken(let decoded, _) = offer { take(decoded) { _ in } }
    }

    // MARK: Rescue

    private func rescue(_ rescues: [Rescue]) {
        for rescue in rescues { store(rescue) }
    }

    /// Stores spans that were shed and turned out to belong to an important trace.
    private func store(_ rescue: Rescue) {
        let batch = wanted(rescue)
        let count = batch?.spans.count ?? 0
        // Spans that were never decoded may be no good.
        let unusable = rescue.spanCount - count
        if unusable > 0 { shedder.settle(unusable, isStored: false) }
        guard let batch, count > 0 else { return }
        let (shedder, makeMetrics) = (shedder, metrics.spans)
        sink.accept(batch) { result in
            if case .success = result {
                shedder.settle(count, isStored: true)
                makeMetrics(batch)
            } else {
                shedder.settle(count, isStored: false)
            }
        }
    }

    private func wanted(_ rescue: Rescue) -> SpanBatch? {
        switch rescue.source {
        case .rows(let batch): return batch.subset(rescue.selection(of: batch.facts(seed: rescue.seed)))
        case .otlp(let body, let origin):
            let result = body.withUnsafeBytes { bytes in
                Result { () throws(WireError) in
                    var facts: [SpanFacts] = []
                    _ = try scanOTLPSpans(bytes, seed: rescue.seed, into: &facts)
                    return try decodeOTLPTraces(bytes, origin: origin, keeping: rescue.selection(of: facts))
                }
            }
            guard case .success(let decoded) = result else { return nil }
            return decoded.batch
        }
    }
}

extension Rescue {
    /// The wanted ones of the source's spans.
    fileprivate func selection(of facts: [SpanFacts]) -> SpanSelection {
        var wanted = SpanSelection(count: facts.count)
        for (index, span) in facts.enumerated() where shed.contains(index) {
            if keys.contains(span.traceKey(seed: seed)) { wanted.insert(index) }
        }
        return wanted
    }
}
