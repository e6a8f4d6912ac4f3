internal import Glibc
internal import Synchronization

/// Many threads, each with one request under way, for some seconds.
final class ClosedLoop: Sendable {
    private struct Content {
        var milliseconds: [Double] = []
        var failure: String?
        var running = 0
    }

    private let content = Mutex(Content())
    private let numbers = Atomic<UInt64>(0)
    private let threads: Int
    private let seconds: Double
    /// Seconds between two requests of one thread; nil: the next as soon as the last is answered.
    private let interval: Double?

    init(threads: Int, seconds: Double, requestsPerSecond: Double? = nil) {
        self.threads = threads
        self.seconds = seconds
        interval = requestsPerSecond.map { Double(threads) / $0 }
    }

    /// What a run came to. Latencies of a paced run count from the moment at which a request was due.
    struct Outcome {
        let requests: Int
        let perSecond: Double
        let milliseconds: [Double]
    }

    /// - Parameters:
    ///   - first: number of the first request; each gets the next one.
    ///   - makeSender: makes what a thread sends with; the sender returns when the request is acknowledged.
    func run(
        from first: UInt64, _ makeSender: @escaping @Sendable () throws -> ((UInt64) throws -> Void)
    ) throws -> Outcome {
        numbers.store(first, ordering: .relaxed)
        content.withLock { $0.running = threads }
        let start = now()
        for thread in 0..<threads {
            try startThread { self.work(thread, start, makeSender) }
        }
        while content.withLock({ $0.running }) > 0 { usleep(2_000) }
        let elapsed = now() - start
        let (milliseconds, failure) = content.withLock { ($0.milliseconds, $0.failure) }
        if let failure { throw ReplayFailure(text: failure) }
        return Outcome(
            requests: milliseconds.count, perSecond: Double(milliseconds.count) / elapsed, milliseconds: milliseconds)
    }

    private func work(_ thread: Int, _ start: Double, _ makeSender: () throws -> ((UInt64) throws -> Void)) {
        var own: [Double] = []
        var failure: String?
        do {
            let send = try makeSender()
            var due = start + (interval ?? 0) * Double(thread) / Double(threads)
            while true {
                if interval == nil { due = now() }
                let early = due - now()
                if early > 0 { usleep(UInt32(early * 1e6)) }
                guard now() < start + seconds else { break }
                let began = due
                try send(numbers.add(1, ordering: .relaxed).oldValue)
                own.append((now() - began) * 1e3)
                if let interval { due = began + interval }
            }
        } catch { failure = "\(error)" }
        content.withLock { content in
            content.milliseconds += own
            content.failure = content.failure ?? failure
            content.running -= 1
        }
    }
}
