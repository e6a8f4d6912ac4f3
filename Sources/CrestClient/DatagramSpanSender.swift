internal import Synchronization
internal import Tracing

/// Sends batches as Crest datagrams, numbered and with the counts from which the server knows what it never got.
///
/// Nothing is acknowledged and nothing is repeated. A datagram that the kernel does not take is tried again for some
/// milliseconds; then its spans count as dropped, which the next datagram says.
package final class DatagramSpanSender: Sendable {
    private struct State: ~Copyable {
        var socket: DatagramSocket
        var sequence: UInt64 = 0
        var sent: UInt64 = 0
        /// The last datagram with spans was followed by a report.
        var isReported = true
    }

    private let queue: SpanQueue
    private let source = UInt64.random(in: 1 ... .max)
    private let epoch = DatagramSpanSender.now
    private let payloadLimit: Int
    private let tag: MessageTag?
    private let state: Mutex<State>

    /// How often a datagram that the kernel does not take is tried, a millisecond apart.
    private static let attempts = 50

    /// - Throws: `ConfigurationError` when the address is malformed or unknown, or the key too short or too long.
    package init(_ queue: SpanQueue, _ options: OTLPExporter.DatagramOptions) throws(ConfigurationError) {
        if let key = options.key, !(16...4_096).contains(key.count) {
            throw ConfigurationError("a key of datagrams must have 16 to 4096 bytes, not \(key.count)")
        }
        tag = options.key.map { MessageTag(key: $0) }
        let socket = try DatagramSocket(connectedTo: options.address)
        self.queue = queue
        let overhead = SpanDatagram.headBytes + (options.key == nil ? 0 : MessageTag.bytes)
        payloadLimit = min(max(options.maximumBytes, 512), SpanDatagram.largestBytes) - overhead
        state = Mutex(State(socket: socket))
    }

    /// Returns when the queue is closed and empty, or when its task is cancelled.
    package func run() async {
        while let batch = await queue.next() { await send(batch) }
        report()
    }

    private func send(_ batch: SpanQueue.Batch) async {
        var sent = 0
        for payload in batch.payloads(limit: payloadLimit) {
            if await isTaken(payload) { sent += payload.spanCount }
        }
        queue.settle(batch, .sent(sent))
    }

    private func isTaken(_ payload: SpanPayload) async -> Bool {
        for _ in 0..<Self.attempts {
            if transmit(payload) { return true }
            // A cancelled sleep: the time of `shutdown` is over.
            do { try await Task.sleep(for: .milliseconds(1)) } catch { return false }
        }
        return false
    }

    /// Tells the counts when spans were sent and no report since. For a timer.
    package func reportIfDue() {
        if state.withLock({ !$0.isReported }) { report() }
    }

    private func report() { _ = transmit(nil) }

    /// - Returns: whether the kernel took it; if not, no number and no count was used up.
    private func transmit(_ payload: SpanPayload?) -> Bool {
        let dropped = UInt64(queue.statistics.dropped.total)
        let items = UInt64(payload?.spanCount ?? 0)
        let size = state.withLock { state -> Int? in
            let datagram = SpanDatagram(
                source: source, epoch: epoch, sequence: state.sequence + 1,
                produced: state.sent + items + dropped, dropped: dropped, time: Self.now)
            let bytes = datagram.encoded(payload, tag: tag)
            if case .dropped = state.socket.send(bytes) { return nil }
            state.sequence += 1
            state.sent += items
            state.isReported = payload == nil
            return bytes.count
        }
        if let size { queue.countRequest(bytes: size, repeated: false) }
        return size != nil
    }

    private static var now: UInt64 { UInt64(DefaultTracerClock.now.nanosecondsSinceEpoch) }
}
