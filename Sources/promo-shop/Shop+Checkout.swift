internal import CrestClient

/// Buying: limiter, session, seckill with its risk check, the stock.
extension Shop {
    func checkout(_ trace: RequestTrace, at time: Double) -> Kind {
        var kind = Kind.ok
        serve(trace, .checkout) {
            if let refusal = refusal(trace, at: time) {
                refuse(trace, refusal)
                kind = .limited
                return (429, nil)
            }
            askLimiter(trace, allowed: true)
            authenticate(trace)
            let activity = Attribute("promo.activity_id", .string(trace.visit.activity))
            let reply = trace.call(.gateway, .seckill, .seckill, micros: 500, metrics: metrics) {
                evaluateRisk(trace)
                readCache(trace, from: .seckill, .activity)
                guard reserveStock(trace) else {
                    kind = .soldout
                    return Reply(code: 409, attributes: [activity])
                }
                let code = placeOrder(trace, at: time)
                if code >= 500 { kind = .payfail }
                return Reply(code: code, attributes: [activity])
            }
            return (reply.code, reply.code >= 500 ? "UpstreamError: order service returned \(reply.code)" : nil)
        }
        return kind
    }

    private func evaluateRisk(_ trace: RequestTrace) {
        let score = Double(trace.random.below(10_000)) / 10_000
        trace.span(
            .seckill, "risk.evaluate", .internal, micros: 400,
            [
                Attribute("user.id", .string(trace.visit.user)), Attribute("risk.score", .double(score)),
                Attribute("risk.engine", "rules-v3"),
                Attribute("promo.activity_id", .string(trace.visit.activity)),
                Attribute("product.id", .string(trace.visit.product)), Attribute("code.function", "evaluate"),
                Attribute("code.namespace", "com.promo.seckill.RiskService"),
            ] + trace.thread()
        ) {
            guard trace.random.chance(0.3) else { return }
            trace.event(
                "risk.rule.hit",
                [
                    Attribute("rule.id", .string("R" + padded(trace.random.below(60), to: 3))),
                    Attribute("rule.action", "pass"),
                ])
        }
    }

    /// - Returns: false when the product is sold out.
    private func reserveStock(_ trace: RequestTrace) -> Bool {
        let visit = trace.visit
        var isReserved = false
        _ = trace.call(.seckill, .stock, .reserve, micros: 300, metrics: metrics) {
            trace.redis(.stock, "EVALSHA", "stock:{\(visit.product)}:\(visit.activity)", micros: 220)
            let outcome =
                settings.oversells ? stock.reserveUnchecked(visit.productRank) : stock.reserve(visit.productRank)
            guard case .reserved(let remaining) = outcome else {
                metrics.count("stock.rejected")
                let isLoud = trace.random.chance(0.15)
                return Reply(
                    code: 409, error: isLoud ? "StockException: product \(visit.product) sold out" : nil,
                    attributes: [Attribute("stock.remaining", 0)])
            }
            isReserved = true
            if remaining < 0 { metrics.count("stock.oversold") }
            showStock(visit.productRank)
            trace.mysql(
                .stock, "UPDATE", "stock",
                "UPDATE stock SET available = available - ?, version = version + 1 "
                    + "WHERE product_id = ? AND available >= ? AND version = ?",
                micros: 2_200)
            if trace.random.chance(0.5) {
                trace.mysql(
                    .stock, "INSERT", "stock_log",
                    "INSERT INTO stock_log (product_id, order_id, delta, created_at) VALUES (?, ?, ?, ?)",
                    micros: 1_200)
            }
            return Reply(attributes: [Attribute("stock.remaining", .int(Int64(remaining)))])
        }
        return isReserved
    }
}
