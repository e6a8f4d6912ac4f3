public import Metrics
internal import Synchronization

/// A factory for swift-metrics that reports through a ``StatsDClient``.
///
/// ```swift
/// MetricsSystem.bootstrap(StatsDMetrics(try StatsDClient()))
/// Counter(label: "http.requests", dimensions: [("status", "200")]).increment()
/// ```
///
/// Counters are added up and sent as their increase on each flush; gauges and meters send their last value when it
/// was set. Timers become `ms`, aggregating recorders `h`, one line a value. The same label with the same
/// dimensions is the same metric, however often it is made.
public final class StatsDMetrics: MetricsFactory {
    private let client: StatsDClient
    private let registry: Registry

    public init(_ client: StatsDClient) {
        self.client = client
        let registry = Registry()
        self.registry = registry
        // The client must not own itself through this closure, hence the weak reference.
        client.onFlush { [weak client] in
            guard let client else { return }
            registry.collect(into: client)
        }
    }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        registry.counter(StatsDLine(label, .counter, tags: dimensions))
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        registry.floatingCounter(StatsDLine(label, .counter, tags: dimensions))
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        registry.gauge(StatsDLine(label, .gauge, tags: dimensions))
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        aggregate
            ? StatsDValues(StatsDLine(label, .histogram, tags: dimensions), client)
            : registry.gauge(StatsDLine(label, .gauge, tags: dimensions))
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        StatsDValues(StatsDLine(label, .timer, tags: dimensions), client)
    }

    public func destroyCounter(_ handler: any CounterHandler) { registry.remove(handler, client) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        registry.remove(handler, client)
    }
    public func destroyMeter(_ handler: any MeterHandler) { registry.remove(handler, client) }
    public func destroyRecorder(_ handler: any RecorderHandler) { registry.remove(handler, client) }
    public func destroyTimer(_ handler: any TimerHandler) {}
}

/// Every metric that is added up here before it is sent.
private final class Registry: Sendable {
    private struct Tables {
        var counters: [StatsDLine: StatsDCounter] = [:]
        var floatingCounters: [StatsDLine: StatsDFloatingCounter] = [:]
        var gauges: [StatsDLine: StatsDGauge] = [:]
    }

    private let tables = Mutex(Tables())

    func counter(_ line: StatsDLine) -> StatsDCounter {
        tables.withLock { tables in
            if let known = tables.counters[line] { return known }
            let made = StatsDCounter(line)
            tables.counters[line] = made
            return made
        }
    }

    func floatingCounter(_ line: StatsDLine) -> StatsDFloatingCounter {
        tables.withLock { tables in
            if let known = tables.floatingCounters[line] { return known }
            let made = StatsDFloatingCounter(line)
            tables.floatingCounters[line] = made
            return made
        }
    }

    func gauge(_ line: StatsDLine) -> StatsDGauge {
        tables.withLock { tables in
            if let known = tables.gauges[line] { return known }
            let made = StatsDGauge(line)
            tables.gauges[line] = made
            return made
        }
    }

    func collect(into client: StatsDClient) {
        let (counters, floatingCounters, gauges) = tables.withLock { tables in
            (Array(tables.counters.values), Array(tables.floatingCounters.values), Array(tables.gauges.values))
        }
        for counter in counters { counter.report(to: client) }
        for counter in floatingCounters { counter.report(to: client) }
        for gauge in gauges { gauge.report(to: client) }
    }

    /// Sends what the metric still holds and forgets it.
    func remove(_ handler: AnyObject, _ client: StatsDClient) {
        if let counter = handler as? StatsDCounter {
            tables.withLock { $0.counters[counter.line] = nil }
            counter.report(to: client)
        } else if let counter = handler as? StatsDFloatingCounter {
            tables.withLock { $0.floatingCounters[counter.line] = nil }
            counter.report(to: client)
        } else if let gauge = handler as? StatsDGauge {
            tables.withLock { $0.gauges[gauge.line] = nil }
            gauge.report(to: client)
        }
    }
}
