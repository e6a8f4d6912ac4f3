import CrestClient
import Testing

@Suite struct SpanQueueTests {
    private func queue(_ spans: Int = 1_000, bytes: Int = 1 << 20, batch: Int = 4) -> SpanQueue {
        let queue = SpanQueue(limits: .init(maximumSpans: spans, maximumBytes: bytes, batchSpans: batch))
        _ = queue.addSource(Resource(serviceName: "test"), .crestClient)
        return queue
    }

    private func isBalanced(_ statistics: SpanStatistics) -> Bool {
        statistics.ended
            == statistics.acknowledged + statistics.rejected + statistics.dropped.total + statistics.pending
    }

    @Test("A full batch is handed out at once, a part of one on flush")
    func batches() async {
        let queue = queue()
        for number in 1...9 { queue.append(sampleSpan(UInt64(number)), source: 0) }
        let first = await queue.next()
        let second = await queue.next()
        queue.flush()
        let third = await queue.next()
        #expect([first, second, third].map { $0?.spanCount } == [4, 4, 1])
    }

    @Test("The newest spans are dropped when the queue is full, each one counted")
    func overflow() async {
        let queue = queue(10)
        for number in 1...25 { queue.append(sampleSpan(UInt64(number)), source: 0) }
        #expect(queue.statistics.ended == 25)
        #expect(queue.statistics.pending == 10)
        #expect(queue.statistics.dropped.queueFull == 15)
        if let batch = await queue.next() { queue.settle(batch, .acknowledged(rejected: 1)) }
        #expect(queue.statistics.pending == 6)
        for number in 1...5 { queue.append(sampleSpan(UInt64(number)), source: 0) }
        #expect(queue.statistics.pending == 10)
        #expect(queue.statistics.dropped.queueFull == 16)
        #expect(queue.statistics.acknowledged == 3)
        #expect(queue.statistics.rejected == 1)
        #expect(isBalanced(queue.statistics))
    }

    @Test("Bytes are limited too, and are free again once settled")
    func bytes() async {
        let queue = queue(bytes: 4_000, batch: 1)
        var large = sampleSpan(1)
        large.attributes = [Attribute("k", .string(String(repeating: "x", count: 1_500)))]
        for _ in 0..<3 { queue.append(large, source: 0) }
        #expect(queue.statistics.pending == 2)
        #expect(queue.statistics.dropped.queueFull == 1)
        if let batch = await queue.next() { queue.settle(batch, .refused) }
        queue.append(large, source: 0)
        #expect(queue.statistics.pending == 2)
        #expect(queue.statistics.dropped.refused == 1)
    }

    @Test("Zero ids and unknown sources are dropped and counted")
    func invalid() {
        let queue = queue()
        var span = sampleSpan(1)
        span.traceID = TraceID(high: 0, low: 0)
        queue.append(span, source: 0)
        queue.append(sampleSpan(0), source: 0)
        queue.append(sampleSpan(1), source: 7)
        queue.append(sampleSpan(1), source: -1)
        #expect(queue.statistics.dropped.invalid == 2)
        #expect(queue.statistics.pending == 0)
        #expect(isBalanced(queue.statistics))
    }

    @Test("A waiting sender gets the batch; closing lets the others go")
    func waiting() async {
        let queue = queue()
        async let first = queue.next()
        async let second = queue.next()
        for number in 1...4 { queue.append(sampleSpan(UInt64(number)), source: 0) }
        queue.close()
        let counts = await [first?.spanCount, second?.spanCount].compactMap { $0 }
        #expect(counts == [4])
        queue.append(sampleSpan(9), source: 0)
        #expect(queue.statistics.dropped.closed == 1)
    }

    @Test("A server that rejects more than was sent does not unbalance the books")
    func liar() async {
        let queue = queue(batch: 1)
        for rejected in [Int.max, -5] {
            queue.append(sampleSpan(1), source: 0)
            if let batch = await queue.next() { queue.settle(batch, .acknowledged(rejected: rejected)) }
        }
        #expect(queue.statistics.rejected == 1)
        #expect(queue.statistics.acknowledged == 1)
        #expect(isBalanced(queue.statistics))
    }
}
