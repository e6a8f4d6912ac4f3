internal import Synchronization

/// The bounded queue between the threads that end spans and the tasks that send them.
///
/// Spans arrive encoded and are gathered by source in one open batch. The batch closes at `batchSpans`, at
/// `batchBytes` or on the exporter's tick, and waits for a sender. Everything not yet settled counts against
/// `maximumSpans` and `maximumBytes`; a span that does not fit is dropped and counted, the older ones stay.
package final class SpanQueue: Sendable {
    package struct Limits: Sendable {
        package var maximumSpans: Int
        package var maximumBytes: Int
        package var batchSpans: Int
        package var batchBytes: Int

        package init(maximumSpans: Int, maximumBytes: Int, batchSpans: Int, batchBytes: Int = 4 << 20) {
            self.maximumSpans = max(1, maximumSpans)
            self.maximumBytes = max(1, maximumBytes)
            self.batchSpans = max(1, batchSpans)
            self.batchBytes = max(1, batchBytes)
        }
    }

    /// A closed batch: the framed spans of each source that has any.
    package struct Batch: Sendable {
        package var spanCount = 0
        package var byteCount = 0
        var parts: [(header: OTLPEncoder.Header, spans: [UInt8])] = []

        /// The `ExportTraceServiceRequest`.
        package func body() -> [UInt8] {
            var writer = ProtobufWriter(reserving: byteCount + parts.count * 700)
            for part in parts { OTLPEncoder.writeResourceSpans(part.header, spans: part.spans, to: &writer) }
            return writer.bytes
        }
    }

    /// What became of a batch.
    package enum Fate: Sendable {
        case acknowledged(rejected: Int)
        /// So many spans went out in datagrams; the kernel did not take the others.
        case sent(Int)
        case refused
        case gaveUp
        case shutdown
    }

    private struct State {
        var headers: [OTLPEncoder.Header] = []
        var open: [[UInt8]] = []
        var openSpans = 0
        var openBytes = 0
        var pendingBytes = 0
        var ready: [Batch] = []
        var waiting: [CheckedContinuation<Batch?, Never>] = []
        var closed = false
        var statistics = SpanStatistics()
    }

    private let state: Mutex<State>
    private let limits: Limits

    package init(limits: Limits) {
        self.limits = limits
        self.state = Mutex(State())
    }

    package var statistics: SpanStatistics { state.withLock { $0.statistics } }

    /// Makes room for one more source of spans. Returns its number.
    package func addSource(_ resource: Resource, _ scope: InstrumentationScope) -> Int {
        let header = OTLPEncoder.Header(resource, scope)
        return state.withLock { state in
            state.headers.append(header)
            state.open.append([])
            return state.headers.count - 1
        }
    }

    /// Encodes outside the lock, then adds to the open batch or counts why not.
    package func append(_ span: SpanData, source: Int) {
        guard span.traceID.isValid, span.spanID.isValid else {
            state.withLock { state in
                state.statistics.ended += 1
                state.statistics.dropped.invalid += 1
            }
            return
        }
        var writer = ProtobufWriter(reserving: 640)
        OTLPEncoder.write(span, to: &writer)
        let waiter = state.withLock { state in add(writer.bytes, source: source, to: &state) }
        waiter?.resume()
    }

    /// A sender to wake with a batch, once the lock is free again.
    private struct Delivery {
        let continuation: CheckedContinuation<Batch?, Never>
        let batch: Batch?

        func resume() { continuation.resume(returning: batch) }
    }

    private func add(_ span: [UInt8], source: Int, to state: inout State) -> Delivery? {
        state.statistics.ended += 1
        if state.closed {
            state.statistics.dropped.closed += 1
            return nil
        }
        let size = ProtobufWriter.fieldSize(span.count)
        guard state.statistics.pending < limits.maximumSpans, state.pendingBytes + size <= limits.maximumBytes,
            state.open.indices.contains(source)
        else {
            state.statistics.dropped.queueFull += 1
            return nil
        }
        state.statistics.pending += 1
        state.pendingBytes += size
        state.openSpans += 1
        state.openBytes += size
        state.open[source].append(0x12)  // ScopeSpans.spans
        appendVarint(span.count, to: &state.open[source])
        state.open[source].append(contentsOf: span)
        guard state.openSpans >= limits.batchSpans || state.openBytes >= limits.batchBytes else { return nil }
        return closeBatch(&state)
    }

    private func appendVarint(_ value: Int, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Moves the open batch to the ready ones, or hands it to a sender that waits.
    private func closeBatch(_ state: inout State) -> Delivery? {
        guard state.openSpans > 0 else { return nil }
        var batch = Batch(spanCount: state.openSpans, byteCount: state.openBytes)
        for source in state.open.indices where !state.open[source].isEmpty {
            batch.parts.append((state.headers[source], state.open[source]))
            state.open[source] = []
        }
        state.openSpans = 0
        state.openBytes = 0
        if let continuation = state.waiting.popLast() {
            return Delivery(continuation: continuation, batch: batch)
        }
        state.ready.append(batch)
        return nil
    }

    /// Closes the open batch now, however small.
    package func flush() {
        let delivery = state.withLock { state in closeBatch(&state) }
        delivery?.resume()
    }

    /// The next closed batch; waits for one. `nil` when the queue is closed and empty.
    package func next() async -> Batch? {
        await withCheckedContinuation { continuation in
            let delivery: Delivery? = state.withLock { state in
                if !state.ready.isEmpty {
                    return Delivery(continuation: continuation, batch: state.ready.removeFirst())
                }
                if state.closed { return Delivery(continuation: continuation, batch: nil) }
                state.waiting.append(continuation)
                return nil
            }
            delivery?.resume()
        }
    }

    /// Counts one request; `repeated` when it is not the batch's first.
    package func countRequest(bytes: Int, repeated: Bool) {
        state.withLock { state in
            state.statistics.requests += 1
            state.statistics.bytesSent += bytes
            if repeated { state.statistics.retries += 1 }
        }
    }

    /// Ends a batch's stay and counts its spans.
    package func settle(_ batch: Batch, _ fate: Fate) {
        state.withLock { state in
            state.statistics.pending -= batch.spanCount
            state.pendingBytes -= batch.byteCount
            switch fate {
            case .acknowledged(let rejected):
                let refused = min(max(rejected, 0), batch.spanCount)
                state.statistics.rejected += refused
                state.statistics.acknowledged += batch.spanCount - refused
            case .sent(let count):
                state.statistics.sent += count
                state.statistics.dropped.unsent += batch.spanCount - count
            case .refused: state.statistics.dropped.refused += batch.spanCount
            case .gaveUp: state.statistics.dropped.gaveUp += batch.spanCount
            case .shutdown: state.statistics.dropped.shutdown += batch.spanCount
            }
        }
    }

    /// Takes no more spans, closes the open batch and lets waiting senders go once nothing is left.
    package func close() {
        let (delivery, waiting) = state.withLock { state in
            state.closed = true
            let delivery = closeBatch(&state)
            defer { state.waiting = [] }
            return (delivery, state.waiting)
        }
        delivery?.resume()
        for continuation in waiting { continuation.resume(returning: nil) }
    }

    /// Drops what no sender has taken. For the end of `shutdown`.
    package func dropReady() {
        let ready = state.withLock { state in
            defer { state.ready = [] }
            return state.ready
        }
        for batch in ready { settle(batch, .shutdown) }
    }
}
