internal import CrestClient

/// What a service answers to another.
struct Reply {
    var code = 200
    /// `Type: what happened`, when the server's span is to be marked as failed.
    var error: String?
    /// Added to the server's span.
    var attributes: [Attribute] = []
}

extension RequestTrace {
    /// One HTTP call: a client span in `from`, a server span in `to`, and between them the network.
    func call(
        _ from: Service, _ to: Service, _ route: Route, micros: Double = 250, metrics: ShopMetrics,
        body: () -> Reply
    ) -> Reply {
        let path = route.path(visit)
        var reply = Reply()
        let request: [Attribute] = [
            Attribute("http.request.method", .string(route.method)), Attribute("server.address", .string(to.host)),
            Attribute("server.port", 8080), Attribute("url.full", "http://\(to.host):8080\(path)"),
            Attribute("peer.service", .string(to.name)), Attribute("network.protocol.version", "1.1"),
            Attribute("user.id", .string(visit.user)),
        ]
        span(from, route.method, .client, micros: 180, request) {
            advance(micros: 90, sigma: 0.4)
            let server = span(to, route.operation, .server, micros: micros, serverAttributes(from, route, path)) {
                stallSometimes()
                reply = body()
                annotate([Attribute("http.status_code", .int(Int64(reply.code)))] + reply.attributes)
                if let error = reply.error { fail(error) }
            }
            metrics.served(to, route, status: reply.code, nanoseconds: duration(server))
            annotate([Attribute("http.status_code", .int(Int64(reply.code)))])
        }
        return reply
    }

    private func serverAttributes(_ from: Service, _ route: Route, _ path: String) -> [Attribute] {
        [
            Attribute("http.request.method", .string(route.method)),
            Attribute("http.route", .string(route.template)), Attribute("url.path", .string(path)),
            Attribute("url.scheme", "http"),
            Attribute("network.peer.address", "10.42.\(from.rawValue).\(10 + visit.pods[from.rawValue])"),
            Attribute("network.peer.port", .int(Int64(30_000 + random.below(30_000)))),
            Attribute("user.id", .string(visit.user)), Attribute("product.id", .string(visit.product)),
        ] + thread()
    }

    /// A worker thread of a Java pod.
    func thread() -> [Attribute] {
        let number = random.below(64)
        return [
            Attribute("thread.id", .int(Int64(number + 20))),
            Attribute("thread.name", "http-nio-8080-exec-\(number)"),
        ]
    }

    /// Once in about two thousand calls the pod stands still: a collection, a noisy neighbour.
    private func stallSometimes() {
        guard random.chance(0.0005) else { return }
        event("runtime.pause", [Attribute("pause.reason", "gc"), Attribute("gc.name", "G1 Old Generation")])
        wait(nanoseconds: 200_000_000 + UInt64(random.below(1_000_000_000)))
    }

    /// One Redis command.
    /// - Parameter command: as in the statement: `GET`, `EVALSHA`.
    func redis(_ service: Service, _ command: String, _ key: String, micros: Double = 150) {
        let shard = key.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % 6
        span(
            service, command, .client, micros: micros,
            [
                Attribute("db.system", "redis"), Attribute("db.statement", .string(command + " " + key)),
                Attribute("db.operation", .string(command)),
                Attribute("server.address", "redis-\(shard).promo.svc.cluster.local"),
                Attribute("server.port", 6379), Attribute("peer.service", "redis"),
                Attribute("db.redis.database_index", 0), Attribute("network.transport", "tcp"),
            ])
    }

    /// One SQL statement.
    func mysql(
        _ service: Service, _ operation: String, _ table: String, _ statement: String, micros: Double, rows: Int = 1
    ) {
        let database = "promo_" + service.name
        let host = operation == "SELECT" ? "replica-\(random.below(3))" : "primary"
        span(
            service, "\(operation) \(database).\(table)", .client, micros: micros,
            [
                Attribute("db.system", "mysql"), Attribute("db.name", .string(database)),
                Attribute("db.statement", .string(statement)), Attribute("db.operation", .string(operation)),
                Attribute("db.sql.table", .string(table)),
                Attribute("server.address", "mysql-\(host).promo.svc.cluster.local"),
                Attribute("server.port", 3306), Attribute("db.user", .string(service.name + "_rw")),
                Attribute("peer.service", "mysql"), Attribute("db.response.returned_rows", .int(Int64(rows))),
            ] + thread())
    }

    /// Nanoseconds from start to end of a span.
    func duration(_ index: Int) -> Int64 {
        Int64(clamping: spans[index].endNanoseconds - spans[index].startNanoseconds)
    }
}
