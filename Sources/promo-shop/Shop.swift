internal import CrestClient

/// The promo shop: what its ten services share, and the way of one request through them.
///
/// Requests are taken one after the other, each on its own clock, so the same seed always gives the same decisions.
/// What a request meets is not drawn but kept: tokens, windows, caches, stock, the breaker and the queue.
final class Shop {
    struct Settings {
        let seed: UInt64
        let schedule: Schedule
        /// Deduct stock without the lock's protection, to see an oversell.
        let oversells: Bool
        /// Random bits of this run. They go into the trace ids alone: the day repeats, its traces are new ones.
        let runSalt: UInt64
    }

    /// How a request went.
    enum Kind: String, CaseIterable {
        case ok, soldout, browse, limited, payfail
    }

    let settings: Settings
    let crowd: Crowd
    let metrics: ShopMetrics
    let stock: StockLedger
    var gatewayBuckets: [TokenBucket]
    var windows: SlidingWindowLimiter
    var localCaches: [LRUCache]
    var breaker: CircuitBreaker
    var queue = OrderQueue()
    var orderNumber = 20_261_122_000_000
    /// Requests taken so far; also the stream of the next one's random numbers.
    private(set) var requestCount: UInt64 = 0

    init(_ settings: Settings, metrics: ShopMetrics) {
        self.settings = settings
        self.metrics = metrics
        let crowd = Crowd(seed: settings.seed)
        self.crowd = crowd
        let planned = settings.schedule.rate * settings.schedule.peak
        let pods = Service.gateway.podCount
        gatewayBuckets = (0..<pods).map { _ in
            TokenBucket(rate: max(5, planned / Double(pods)), burst: max(20, planned / 20))
        }
        windows = SlidingWindowLimiter(limit: max(6, Int(planned / 60)))
        localCaches = (0..<Service.cache.podCount).map { _ in LRUCache(capacity: 96) }
        breaker = CircuitBreaker(pause: max(0.1, settings.schedule.duration / 100))
        stock = StockLedger(Shop.amounts(crowd, settings))
        announceMetrics()
    }

    /// Enough of each product for four fifths of those who will want it; one in ten was gone before midnight.
    private static func amounts(_ crowd: Crowd, _ settings: Settings) -> [Int] {
        var random = Random(seed: settings.seed, stream: 2 << 40)
        let checkouts = settings.schedule.expectedRequests * 0.72
        return crowd.productShares.map { share in
            if random.chance(0.1) { return 0 }
            return Int(share * checkouts * 0.8 + random.unit())
        }
    }

    /// The hottest products have a gauge each; the other 490 would only be cardinality.
    static let watchedProducts = 10

    private func announceMetrics() {
        for rank in 0..<Shop.watchedProducts { showStock(rank) }
        metrics.count("stock.oversold", 0)
        for limiter in ["token_bucket", "sliding_window", "deny_list"] {
            metrics.count("limiter.rejected", 0, tag: "limiter", limiter)
        }
        for tier in ["l1", "l2"] {
            metrics.count("cache.hits", 0, tag: "tier", tier)
            metrics.count("cache.misses", 0, tag: "tier", tier)
        }
        for result in ["paid", "deferred", "failed"] { metrics.count("order.count", 0, tag: "result", result) }
        metrics.announce(.gateway, .checkout, status: 502)
        metrics.announce(.order, .orders, status: 502)
        metrics.gauge("breaker.state", CircuitBreaker.State.closed.rawValue, tag: "breaker", "paygate")
        metrics.gauge("queue.depth", 0, tag: "queue", "order.created")
    }

    func showStock(_ rank: Int) {
        guard rank < Shop.watchedProducts else { return }
        metrics.gauge("stock.remaining", max(0, stock.remaining(rank)), tag: "product", crowd.products[rank])
    }

    /// Takes the next request, `time` seconds after the opening at `epochNanoseconds`.
    func handle(at time: Double, epochNanoseconds: UInt64) -> (kind: Kind, trace: RequestTrace) {
        requestCount += 1
        var random = Random(seed: settings.seed, stream: requestCount)
        let visit = crowd.visit(&random)
        let start = epochNanoseconds + UInt64(time * 1_000_000_000)
        let trace = RequestTrace(
            visit, runSalt: settings.runSalt, startNanoseconds: start, random: random)
        metrics.seen(user: visit.user)
        let kind = visit.intent == .browse ? browse(trace, at: time) : checkout(trace, at: time)
        if requestCount % 16 == 0 {
            metrics.gauge("queue.depth", queue.depth(at: start), tag: "queue", "order.created")
        }
        return (kind, trace)
    }

    /// The root span: the browser's request as the gateway sees it.
    func serve(_ trace: RequestTrace, _ route: Route, body: () -> (code: Int, error: String?)) {
        let visit = trace.visit
        var code = 200
        let root = trace.span(
            .gateway, route.operation, .server, micros: 500,
            [
                Attribute("http.request.method", .string(route.method)),
                Attribute("http.route", .string(route.template)),
                Attribute("url.path", .string(route.path(visit))), Attribute("url.scheme", "https"),
                Attribute("client.address", .string(visit.address)),
                Attribute("user_agent.original", .string(visit.userAgent)),
                Attribute("user.id", .string(visit.user)), Attribute("product.id", .string(visit.product)),
                Attribute("promo.activity_id", .string(visit.activity)),
                Attribute("http.request.body.size", .int(Int64(80 + trace.random.below(320)))),
                Attribute("server.address", "shop.example.com"),
            ]
        ) {
            let answer = body()
            code = answer.code
            trace.annotate([Attribute("http.status_code", .int(Int64(code)))])
            if let error = answer.error { trace.fail(error) }
        }
        metrics.served(.gateway, route, status: code, nanoseconds: trace.duration(root))
    }
}
