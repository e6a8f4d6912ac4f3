internal import CrestClient

/// Reading: the limiter, the session, the two-level cache, the product page.
extension Shop {
    func browse(_ trace: RequestTrace, at time: Double) -> Kind {
        var kind = Kind.browse
        serve(trace, .browse) {
            if let refusal = refusal(trace, at: time) {
                refuse(trace, refusal)
                kind = .limited
                return (429, nil)
            }
            askLimiter(trace, allowed: true)
            authenticate(trace)
            let wasLocal = readCache(trace, from: .gateway, .product)
            renderRecommendations(trace)
            if wasLocal || trace.random.chance(0.6) { readCache(trace, from: .gateway, .price) }
            return (200, nil)
        }
        return kind
    }

    private func renderRecommendations(_ trace: RequestTrace) {
        trace.span(
            .gateway, "render recommendations", .internal, micros: 700,
            [
                Attribute("promo.activity_id", .string(trace.visit.activity)),
                Attribute("product.id", .string(trace.visit.product)),
                Attribute("rec.model", "ctr-v\(trace.random.below(4))"),
                Attribute("rec.items", .int(Int64(8 + trace.random.below(32)))),
                Attribute("user.id", .string(trace.visit.user)),
                Attribute("ab.bucket", .int(Int64(trace.random.below(100)))),
                Attribute("thread.id", .int(Int64(trace.random.below(64)))),
                Attribute("code.function", "renderRecommendations"),
            ])
    }

    /// Which limiter says no; `nil` when all let the request through.
    func refusal(_ trace: RequestTrace, at time: Double) -> String? {
        let visit = trace.visit
        if visit.isBot { return "deny_list" }
        if !gatewayBuckets[visit.pods[Service.gateway.rawValue]].take(at: time) { return "token_bucket" }
        return windows.take(user: visit.userNumber, at: time) < 0 ? "sliding_window" : nil
    }

    /// One question to the limiter service, which keeps its windows in Redis.
    func askLimiter(_ trace: RequestTrace, allowed: Bool) {
        let visit = trace.visit
        _ = trace.call(.gateway, .ratelimiter, .check, micros: 120, metrics: metrics) {
            trace.redis(.ratelimiter, "EVALSHA", "rl:{\(visit.user)}:\(visit.product)", micros: 160)
            trace.redis(.ratelimiter, "GET", "rl:conf:\(visit.activity)", micros: 110)
            return Reply(
                code: allowed ? 200 : 429,
                attributes: [
                    Attribute("ratelimit.allowed", .bool(allowed)),
                    Attribute("ratelimit.remaining", .int(allowed ? Int64(trace.random.below(50)) : 0)),
                ])
        }
    }

    /// A refused request waits and asks twice more, as the gateway's queueing does, before it gets its 429.
    func refuse(_ trace: RequestTrace, _ limiter: String) {
        metrics.count("limiter.rejected", tag: "limiter", limiter)
        trace.annotate([Attribute("ratelimit.limiter", .string(limiter))])
        askLimiter(trace, allowed: false)
        authenticate(trace)
        for _ in 0..<2 {
            trace.advance(micros: 2_000)
            askLimiter(trace, allowed: false)
        }
    }

    func authenticate(_ trace: RequestTrace) {
        _ = trace.call(.gateway, .user, .user, micros: 200, metrics: metrics) {
            trace.redis(.user, "GET", "session:" + trace.visit.user, micros: 120)
            if trace.random.chance(0.2) {
                trace.mysql(
                    .user, "SELECT", "user", "SELECT id, level, region, risk FROM user WHERE id = ? LIMIT 1",
                    micros: 900)
            }
            return Reply()
        }
    }

    /// The cache pod's own memory first, then Redis, then the database.
    /// - Returns: whether the pod had it.
    @discardableResult
    func readCache(_ trace: RequestTrace, from service: Service, _ route: Route) -> Bool {
        let pod = trace.visit.pods[Service.cache.rawValue]
        let what = route.template.split(separator: "/")[1]
        let key = "\(what):\(trace.visit.product)"
        let wasLocal = localCaches[pod].touch(key)
        _ = trace.call(service, .cache, route, micros: 150, metrics: metrics) {
            metrics.count(wasLocal ? "cache.hits" : "cache.misses", tag: "tier", "l1")
            if wasLocal { return cached(hit: true, "l1") }
            localCaches[pod].insert(key)
            trace.redis(.cache, "GET", key, micros: 130)
            let isInRedis = trace.random.chance(0.88)
            metrics.count(isInRedis ? "cache.hits" : "cache.misses", tag: "tier", "l2")
            if isInRedis { return cached(hit: true, "l2") }
            trace.mysql(
                .cache, "SELECT", "product",
                "SELECT p.id, p.title, p.price_cents, p.stock_mode, a.discount FROM product p "
                    + "JOIN activity_item a ON a.product_id = p.id WHERE p.id = ? AND a.activity_id = ?",
                micros: 1_400)
            trace.redis(.cache, "SETEX", key, micros: 140)
            return cached(hit: false, "l2")
        }
        return wasLocal
    }

    private func cached(hit: Bool, _ tier: String) -> Reply {
        Reply(attributes: [Attribute("cache.hit", .bool(hit)), Attribute("cache.tier", .string(tier))])
    }
}
