/// Every path there is. Source: schemas/http-api.yaml.
enum Routes {
    static let all = ingest + grpc + jaeger + zipkin + own + prometheus + admin

    private static let otlpRoles: Set<ListenerRole> = [.http, .otlpHTTP]
    private static let zipkinRoles: Set<ListenerRole> = [.http, .zipkin]

    private static let ingest: [Route] =
        [
            Route(
                "POST", "/v1/traces", .otlp, roles: otlpRoles, takesSpans: true,
                .later { OTLPIngest.traces($0, reply: $1) }),
            Route("POST", "/v1/metrics", .otlp, roles: otlpRoles, work: .pool, .now(OTLPMetricsIngest.metrics)),
            Route("POST", "/v1/logs", .otlp, roles: otlpRoles, .now(OTLPIngest.notTaken("logs"))),
            Route("POST", "/v1development/profiles", .otlp, roles: otlpRoles, .now(OTLPIngest.notTaken("profiles"))),
            Route(
                "POST", "/api/traces", .plain, roles: [.http, .jaegerHTTP], takesSpans: true,
                .later { JaegerIngest.traces($0, reply: $1) }),
            Route("POST", "/api/v1/write", .plain, work: .pool, .now(RemoteWriteIngest.write)),
            Route("POST", "/api/v1/statsd", .own, work: .pool, .now(MetricsRouting.statsD)),
        ]
        + ["", "/zipkin"].flatMap { prefix in
            [
                Route(
                    "POST", prefix + "/api/v2/spans", .zipkin, roles: zipkinRoles, takesSpans: true,
                    .later { ZipkinIngest.version2($0, reply: $1) }),
                Route(
                    "POST", prefix + "/api/v1/spans", .zipkin, roles: zipkinRoles, takesSpans: true,
                    .later { ZipkinIngest.version1($0, reply: $1) }),
            ]
        }

    private static let jaeger: [Route] = [
        Route("GET", "/api/services", .jaeger, work: .query, .now(JaegerQueries.services)),
        Route("GET", "/api/services/*/operations", .jaeger, work: .query, .now(JaegerQueries.operationNames)),
        Route("GET", "/api/operations", .jaeger, work: .query, .now(JaegerQueries.operations)),
        Route("GET", "/api/traces", .jaeger, work: .query, .now(JaegerQueries.search)),
        Route("GET", "/api/traces/*", .jaeger, work: .query, .now(JaegerQueries.trace)),
        Route("GET", "/api/dependencies", .jaeger, work: .query, .now(JaegerQueries.dependencies)),
    ]

    private static let zipkin: [Route] = ["", "/zipkin"].flatMap { prefix in
        let paths: [(String, @Sendable (Call) -> Response)] = [
            ("services", ZipkinQueries.services), ("spans", ZipkinQueries.spanNames),
            ("remoteServices", ZipkinQueries.remoteServices), ("traces", ZipkinQueries.search),
            ("trace/*", ZipkinQueries.trace), ("traceMany", ZipkinQueries.traceMany),
            ("dependencies", ZipkinQueries.dependencies), ("autocompleteKeys", ZipkinQueries.autocompleteKeys),
            ("autocompleteValues", ZipkinQueries.autocompleteValues),
        ]
        let health = Route("GET", prefix + "/health", .zipkin, roles: zipkinRoles, .now(ZipkinQueries.health))
        return paths.map { path, handle in
            Route("GET", "\(prefix)/api/v2/\(path)", .zipkin, roles: zipkinRoles, work: .query, .now(handle))
        } + [health]
    }

    private static let own: [Route] = {
        let root = "/api/crest/v1/"
        return [
            Route("GET", root + "traces/*", .own, work: .query, .now(OwnQueries.trace)),
            Route("DELETE", root + "traces/*", .own, work: .pool, .now(Deletion.trace)),
            Route("DELETE", root + "traces", .own, work: .pool, .now(Deletion.matching)),
            Route("POST", root + "traces/*/pin", .own, work: .pool, .now(Pinning.pin)),
            Route("DELETE", root + "traces/*/pin", .own, work: .pool, .now(Pinning.unpin)),
            Route("GET", root + "pins", .own, work: .pool, .now(Pinning.list)),
            Route("GET", root + "search", .own, work: .query, .now(OwnQueries.search)),
            Route("GET", root + "services", .own, work: .query, .now(OwnQueries.services)),
            Route("GET", root + "operations", .own, work: .query, .now(OwnQueries.operations)),
            Route("GET", root + "ledger", .own, work: .pool, .now(LedgerReport.get)),
            Route("GET", root + "status", .own, work: .pool, .now(StatusReport.get)),
            Route("GET", root + "admission", .own, work: .pool, .now(AdmissionReport.get)),
            Route("GET", root + "snapshots", .own, work: .pool, .now(SnapshotsEndpoint.list)),
            Route("POST", root + "snapshots", .own, work: .pool, .now(SnapshotsEndpoint.make)),
            Route("GET", root + "durable", .own, .now(OwnQueries.durable)),
            Route("GET", root + "series", .own, work: .query, .now { $0.context.metrics.series($0.request) }),
            Route(
                "GET", root + "series/range", .own, work: .query,
                .now { $0.context.metrics.seriesRange($0.request, $0.budget) }),
            Route("GET", root + "rejects", .own, .now { $0.context.metrics.rejects($0.request) }),
            Route("GET", root + "explain", .own, work: .query, .now { $0.context.metrics.explain($0.request) }),
            Route("POST", root + "explain", .own, work: .query, .now(MetricsRouting.explain)),
            Route(
                "GET", root + "metrics/cardinality", .own, work: .query,
                .now { $0.context.metrics.cardinality($0.request) }),
            Route(
                "GET", root + "metrics/conflicts", .own, work: .query, .now { $0.context.metrics.conflicts($0.request) }
            ),
            Route("GET", root + "metrics/top", .own, work: .query, .now { $0.context.metrics.top($0.request) }),
        ]
    }()

    private static let prometheus: [Route] = {
        let root = "/prometheus/api/v1/"
        let both: [(String, @Sendable (Call) -> Response)] = [
            ("query", PrometheusQueries.instant), ("query_range", PrometheusQueries.range),
            ("labels", PrometheusLabels.names), ("series", PrometheusLabels.series),
        ]
        let reading: [(String, @Sendable (Call) -> Response)] = [
            ("label/*/values", PrometheusLabels.values), ("metadata", PrometheusQueries.metadata),
            ("status/buildinfo", PrometheusQueries.buildInfo),
        ]
        return (both + reading).map { Route("GET", root + $0, .prometheus, work: .query, .now($1)) }
            + both.map { Route("POST", root + $0, .prometheus, work: .query, .now($1)) }
    }()

    private static let admin: [Route] = [
        Route("GET", "/metrics", .plain, work: .pool, .now { $0.context.metrics.scrape($0.request) }),
        Route("GET", "/-/ready", .plain, .now(Admin.ready)),
        Route("GET", "/-/healthy", .plain, .now(Admin.healthy)),
        Route("POST", "/-/reload", .plain, work: .pool, .now(Admin.reload)),
        Route("GET", "/", .plain, .now(Admin.root)),
    ]
}

/// The way to the metrics side.
enum MetricsRouting {
    static func statsD(_ call: Call) -> Response {
        inflating(call) { request in
            switch call.metricsToWrite() {
            case .success(let metrics): metrics.statsD(request)
            case .failure(let refused): refused.response
            }
        }
    }

    static func explain(_ call: Call) -> Response { inflating(call, call.context.metrics.explain) }

    /// Bodies are inflated here, so that the cap and the answers are the same everywhere.
    private static func inflating(_ call: Call, _ handle: (Request) -> Response) -> Response {
        switch call.plainBody() {
        case .failure(let refused): return refused.response
        case .success(let plain):
            var request = call.request
            request.body = plain
            request.headers.removeAll { $0.name == "content-encoding" }
            return handle(request)
        }
    }
}
