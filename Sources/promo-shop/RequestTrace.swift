internal import CrestClient

/// The spans of one request while it runs, and the clock they are taken from.
///
/// The clock is the request's own: each step moves it on by a drawn latency, so that thousands of requests a second
/// need no sleeping. Spans nest by calls: `span` opens one, runs its body, and closes it.
final class RequestTrace {
    let visit: Visit
    let id: TraceID
    /// Nanoseconds since 1970.
    private(set) var clock: UInt64
    var random: Random
    /// Whether any span ended in an error.
    private(set) var hasFailed = false
    private(set) var spans: [SpanData] = []
    /// Which service made `spans[i]`.
    private(set) var services: [Service] = []
    /// Indexes of the spans that are open, outermost first.
    private var open: [Int] = []

    init(_ visit: Visit, runSalt: UInt64, startNanoseconds: UInt64, random: Random) {
        self.visit = visit
        self.clock = startNanoseconds
        self.random = random
        self.id = TraceID(high: self.random.next() ^ runSalt, low: self.random.next() | 1)
        spans.reserveCapacity(40)
        services.reserveCapacity(40)
    }

    /// Lets a drawn time pass.
    func advance(micros median: Double, sigma: Double = 0.6) {
        clock += UInt64(random.logNormal(median: median * 1_000, sigma: sigma))
    }

    /// Lets exactly this much pass.
    func wait(nanoseconds: UInt64) { clock += nanoseconds }

    /// One span around `body`. Two fifths of its own time come before the body, the rest after.
    /// - Returns: its index in `spans`.
    @discardableResult
    func span(
        _ service: Service, _ name: String, _ kind: SpanData.Kind, micros: Double, _ attributes: [Attribute],
        body: () -> Void = {}
    ) -> Int {
        let index = spans.count
        var span = SpanData(
            traceID: id, spanID: SpanID(random.next() | 1), parentSpanID: open.last.map { spans[$0].spanID },
            name: name, kind: kind, startNanoseconds: clock, endNanoseconds: clock)
        span.attributes = attributes
        spans.append(span)
        services.append(service)
        open.append(index)
        advance(micros: micros * 0.4)
        body()
        advance(micros: micros * 0.6)
        spans[index].endNanoseconds = clock
        open.removeLast()
        return index
    }

    /// Runs `body` as the child of a span that is already over, later: how a consumer continues a trace.
    func later(under parent: Int, at start: UInt64, body: () -> Void) {
        let (clockBefore, openBefore) = (clock, open)
        open = [parent]
        clock = start
        body()
        (clock, open) = (clockBefore, openBefore)
    }

    /// Adds to the innermost open span.
    func annotate(_ attributes: [Attribute]) {
        guard let index = open.last else { return }
        spans[index].attributes += attributes
    }

    func event(_ name: String, _ attributes: [Attribute]) {
        guard let index = open.last else { return }
        spans[index].events.append(.init(name, nanoseconds: clock, attributes: attributes))
    }

    /// Marks the innermost open span as failed, with an exception event as a Java or Go SDK writes it.
    /// - Parameter message: `Type: what happened`.
    func fail(_ message: String) {
        guard let index = open.last else { return }
        hasFailed = true
        spans[index].status = .error(message)
        let type = "com.promo." + message.prefix { $0 != ":" }
        let frames =
            "\n\tat com.promo.\(services[index].name).Endpoint.serve(Endpoint.java:\(40 + random.below(200)))"
            + "\n\tat com.promo.runtime.Worker.run(Worker.java:118)"
            + "\n\tat java.base/java.lang.Thread.run(Thread.java:1583)"
        event(
            "exception",
            [
                Attribute("exception.type", .string(type)), Attribute("exception.message", .string(message)),
                Attribute("exception.stacktrace", .string("com.promo.\(message)\(frames)")),
            ])
    }
}
