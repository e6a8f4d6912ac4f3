/// Readiness, liveness, reload and the page at the root.
enum Admin {
    static func ready(_ call: Call) -> Response {
        guard call.context.daemon.isReady() else { return unready("not ready", retryAfter: 1) }
        // Reads are still answered; whoever sends should go elsewhere.
        if let reason = call.context.daemon.readOnlyReason() {
            return unready("read-only: \(reason)", retryAfter: 5)
        }
        return .text("ready\n")
    }

    private static func unready(_ why: String, retryAfter: Int) -> Response {
        var response = Response.text(why + "\n", status: 503)
        response.headers.append(("retry-after", String(retryAfter)))
        return response
    }

    static func healthy(_ call: Call) -> Response { .text("healthy\n") }

    /// `POST /-/reload`, as SIGHUP does.
    static func reload(_ call: Call) -> Response {
        guard let problem = call.context.daemon.reload() else { return .text("reloaded\n") }
        return .text("not reloaded, the configuration before it is in use: \(problem)\n", status: 500)
    }

    static func root(_ call: Call) -> Response { .text(rootPage) }

    private static let rootPage = """
        Crest: traces and metrics.

        write   POST /v1/traces            OTLP, protobuf or JSON
                POST /api/v2/spans         Zipkin JSON
                POST /api/v1/statsd        StatsD lines
        scrape  GET  /metrics
        read    GET  /api/crest/v1/        traces/{id} search services operations series ledger status durable
                                           snapshots (POST makes one)
                GET  /api/                 Jaeger: services operations traces traces/{id} dependencies
                GET  /api/v2/              Zipkin: services spans remoteServices traces trace/{id} traceMany
                                           dependencies autocompleteKeys autocompleteValues
        admin   GET  /-/ready /-/healthy   POST /-/reload

        """
}
