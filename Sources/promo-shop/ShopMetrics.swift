internal import CrestClient
internal import Metrics

/// Every metric of the shop, made once per set of tags and kept.
///
/// Counters, timers and gauges go through swift-metrics as in any service; the set and the amounts, which
/// swift-metrics does not have, straight to the client. `totals` is what was recorded, for the final report.
final class ShopMetrics {
    private struct Endpoint: Hashable {
        let service: Service
        let route: Route
        let status: Int
    }

    private let statsd: StatsDClient
    private let factory: StatsDMetrics
    private var requests: [Endpoint: Counter] = [:]
    private var durations: [Endpoint: Metrics.Timer] = [:]
    private var counters: [String: Counter] = [:]
    private var timers: [String: Metrics.Timer] = [:]
    private var gauges: [String: Meter] = [:]
    private(set) var totals: [String: Int] = [:]

    init(_ statsd: StatsDClient) {
        self.statsd = statsd
        self.factory = StatsDMetrics(statsd)
    }

    /// A request that a service answered.
    func served(_ service: Service, _ route: Route, status: Int, nanoseconds: Int64) {
        totals["http.requests", default: 0] += 1
        requestCounter(service, route, status).increment()
        let endpoint = Endpoint(service: service, route: route, status: 0)
        if let timer = durations[endpoint] { return timer.recordNanoseconds(nanoseconds) }
        let timer = Metrics.Timer(
            label: "http.request.duration",
            dimensions: [("service", service.name), ("route", route.template), ("method", route.method)],
            factory: factory)
        durations[endpoint] = timer
        timer.recordNanoseconds(nanoseconds)
    }

    /// Makes a counter known at zero, so that a graph of its rate has a beginning.
    func announce(_ service: Service, _ route: Route, status: Int) {
        requestCounter(service, route, status).increment(by: 0)
    }

    private func requestCounter(_ service: Service, _ route: Route, _ status: Int) -> Counter {
        let endpoint = Endpoint(service: service, route: route, status: status)
        if let counter = requests[endpoint] { return counter }
        let counter = Counter(
            label: "http.requests",
            dimensions: [
                ("service", service.name), ("route", route.template), ("method", route.method),
                ("status", String(status)),
            ], factory: factory)
        requests[endpoint] = counter
        return counter
    }

    /// Adds to a counter with at most one tag.
    func count(_ name: String, _ amount: Int = 1, tag: String = "", _ value: String = "") {
        totals[name, default: 0] += amount
        let key = name + "|" + value
        if let counter = counters[key] { return counter.increment(by: amount) }
        let counter = Counter(label: name, dimensions: tag.isEmpty ? [] : [(tag, value)], factory: factory)
        counters[key] = counter
        counter.increment(by: amount)
    }

    func time(_ name: String, nanoseconds: Int64, tag: String, _ value: String) {
        let key = name + "|" + value
        if let timer = timers[key] { return timer.recordNanoseconds(nanoseconds) }
        let timer = Metrics.Timer(label: name, dimensions: [(tag, value)], factory: factory)
        timers[key] = timer
        timer.recordNanoseconds(nanoseconds)
    }

    func gauge(_ name: String, _ level: Int, tag: String, _ value: String) {
        let key = name + "|" + value
        if let gauge = gauges[key] { return gauge.set(level) }
        let gauge = Meter(label: name, dimensions: [(tag, value)], factory: factory)
        gauges[key] = gauge
        gauge.set(level)
    }

    /// A payment's amount in whole currency units with cents.
    func paid(cents: Int, method: String) {
        statsd.histogram("payment.amount", Double(cents) / 100, tags: [("method", method)])
    }

    /// Someone was here.
    func seen(user: String) { statsd.set("users.active", user) }
}
