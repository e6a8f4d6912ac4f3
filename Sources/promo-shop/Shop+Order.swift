internal import CrestClient

/// After the stock is reserved: the order, its payment behind a circuit breaker, the message and its consumer.
extension Shop {
    private struct Order {
        let id: String
        let cents: Int
        let attribute: Attribute
    }

    private enum Payment {
        case paid, deferred, failed
    }

    /// - Returns: the status for the customer: 201 paid, 202 to be paid later, 502 not paid.
    func placeOrder(_ trace: RequestTrace, at time: Double) -> Int {
        orderNumber += 1 + trace.random.below(8)
        let id = String(orderNumber)
        let order = Order(
            id: id, cents: 990 + trace.random.below(998_910), attribute: Attribute("order.id", .string(id)))
        let began = trace.clock
        var result = Payment.paid
        let reply = trace.call(.seckill, .order, .orders, micros: 600, metrics: metrics) {
            storeOrder(trace)
            result = pay(order, trace, at: time)
            if result == .failed {
                // The piece goes back on the shelf: a failed order must not hold stock.
                trace.redis(.order, "EVALSHA", "stock:release:{\(trace.visit.product)}", micros: 200)
                stock.release(trace.visit.productRank)
                showStock(trace.visit.productRank)
            } else {
                publish(order, trace)
            }
            let code = result == .paid ? 201 : result == .deferred ? 202 : 502
            return Reply(
                code: code,
                attributes: [order.attribute, Attribute("order.amount_cents", .int(Int64(order.cents)))])
        }
        let label = String(describing: result)
        metrics.count("order.count", tag: "result", label)
        metrics.time(
            "order.process.time", nanoseconds: Int64(clamping: trace.clock - began), tag: "result", label)
        return reply.code
    }

    private func storeOrder(_ trace: RequestTrace) {
        trace.mysql(
            .order, "SELECT", "orders",
            "SELECT id FROM orders WHERE user_id = ? AND product_id = ? AND activity_id = ? LIMIT 1", micros: 800,
            rows: 0)
        trace.mysql(
            .order, "INSERT", "orders",
            "INSERT INTO orders (id, user_id, product_id, activity_id, qty, amount_cents, status, created_at) "
                + "VALUES (?, ?, ?, ?, ?, ?, ?, ?)", micros: 1_900)
        if trace.random.below(3) > 0 {
            trace.mysql(
                .order, "INSERT", "order_item",
                "INSERT INTO order_item (order_id, product_id, qty, price_cents) VALUES (?, ?, ?, ?)", micros: 1_300)
        }
    }

    private func pay(_ order: Order, _ trace: RequestTrace, at time: Double) -> Payment {
        var result = Payment.paid
        _ = trace.call(.order, .payment, .payments, micros: 400, metrics: metrics) {
            trace.mysql(
                .payment, "INSERT", "payment",
                "INSERT INTO payment (id, order_id, user_id, amount_cents, channel, status, created_at) "
                    + "VALUES (?, ?, ?, ?, ?, ?, ?)", micros: 1_500)
            let isAllowed = breaker.allows(at: time)
            if isAllowed {
                result = charge(order, trace, at: time) ? .paid : .failed
                breaker.record(success: result == .paid, at: time)
            } else {
                result = .deferred
                metrics.count("payment.fallback")
                trace.annotate([Attribute("payment.fallback", "deferred")])
            }
            let state = breaker.state
            metrics.gauge("breaker.state", state.rawValue, tag: "breaker", "paygate")
            trace.mysql(
                .payment, "UPDATE", "payment", "UPDATE payment SET status = ?, paid_at = ? WHERE id = ?", micros: 1_300)
            return Reply(
                code: result == .failed ? 502 : result == .deferred ? 202 : 200,
                error: result == .failed ? "PaymentException: paygate did not answer" : nil,
                attributes: [order.attribute, Attribute("breaker.state", .string(String(describing: state)))])
        }
        return result
    }

    /// The partner outside. One in sixteen charges times out, and most of them while it is overrun after midnight.
    private func charge(_ order: Order, _ trace: RequestTrace, at time: Double) -> Bool {
        let day = settings.schedule
        let sinceMidnight = (time - day.rampAt * day.duration) / day.duration
        let isOverrun = sinceMidnight > 0.04 && sinceMidnight < 0.05
        let isPaid = !trace.random.chance(isOverrun ? 0.7 : 0.06)
        let method = ["alipay", "wechat", "card", "balance"][trace.random.below(4)]
        trace.span(
            .payment, "POST", .client, micros: 18_000,
            [
                Attribute("http.request.method", "POST"),
                Attribute("url.full", "https://api.paygate.example.com/v2/charges"),
                Attribute("server.address", "api.paygate.example.com"), Attribute("server.port", 443),
                Attribute("http.status_code", isPaid ? 201 : 504), Attribute("peer.service", "paygate"),
                Attribute("payment.method", .string(method)),
                Attribute("payment.amount_cents", .int(Int64(order.cents))), order.attribute,
            ]
        ) {
            if isPaid { return }
            trace.wait(nanoseconds: 1_200_000_000)
            trace.fail("PaymentTimeout: charge timed out after 1200ms")
        }
        if isPaid { metrics.paid(cents: order.cents, method: method) }
        return isPaid
    }

    private func publish(_ order: Order, _ trace: RequestTrace) {
        let partition = trace.random.below(OrderQueue.partitionCount)
        let producer = trace.span(
            .order, "order.created publish", .producer, micros: 600,
            [
                Attribute("messaging.system", "kafka"), Attribute("messaging.destination.name", "order.created"),
                Attribute("messaging.operation", "publish"),
                Attribute("messaging.kafka.message.key", .string(order.id)),
                Attribute("messaging.destination.partition.id", .string(String(partition))),
                Attribute("messaging.message.body.size", .int(Int64(300 + trace.random.below(400)))),
                order.attribute, Attribute("peer.service", "kafka"),
            ] + trace.thread())
        let transit = UInt64(trace.random.logNormal(median: 4_000_000, sigma: 0.8))
        let work = UInt64(trace.random.logNormal(median: 6_000_000, sigma: 0.5))
        let start = queue.publish(partition: partition, now: trace.clock, transit: transit, work: work)
        trace.later(under: producer, at: start) { consume(order, trace, partition) }
    }

    private func consume(_ order: Order, _ trace: RequestTrace, _ partition: Int) {
        trace.span(
            .mq, "order.created process", .consumer, micros: 500,
            [
                Attribute("messaging.system", "kafka"), Attribute("messaging.destination.name", "order.created"),
                Attribute("messaging.operation", "process"),
                Attribute("messaging.consumer.group.name", "notify-dispatch"),
                Attribute("messaging.kafka.message.offset", .int(Int64(1_000_000 + orderNumber % 10_000_000))),
                Attribute("messaging.destination.partition.id", .string(String(partition))), order.attribute,
                Attribute("messaging.client_id", "mq-\(trace.visit.pods[Service.mq.rawValue])"),
            ] + trace.thread()
        ) {
            _ = trace.call(.mq, .notification, .notify, micros: 300, metrics: metrics) {
                trace.redis(.notification, "INCR", "notify:quota:" + trace.visit.user, micros: 140)
                if trace.random.chance(0.7) { push(trace) }
                metrics.count("notification.sent")
                return Reply(code: 202)
            }
        }
    }

    private func push(_ trace: RequestTrace) {
        let channel = ["app", "sms", "email"][trace.random.below(3)]
        trace.span(
            .notification, "POST", .client, micros: 9_000,
            [
                Attribute("http.request.method", "POST"), Attribute("url.full", "https://push.example.com/send"),
                Attribute("server.address", "push.example.com"), Attribute("http.status_code", 200),
                Attribute("peer.service", "push-gateway"), Attribute("notify.channel", .string(channel)),
                Attribute("user.id", .string(trace.visit.user)),
                Attribute("notify.template", "order-created-v\(trace.random.below(5))"),
            ])
    }
}
