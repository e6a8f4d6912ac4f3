internal import Telemetry

/// What a route asks of a request when tokens are in use. Source: schemas/tokens.md.
enum RouteAccess: Hashable, Sendable {
    /// Tells nothing of anybody's data.
    case open
    /// Works on the data of the token's tenant.
    case tenant(AccessScope)
    /// Works on what all tenants share (the ledger, the whole store): for the default tenant alone.
    case shared(AccessScope)

    /// Nil for a path that stands nowhere here; nobody may use such a route while tokens are in use.
    init?(method: String, path: String) {
        if let access = Self.common[path] {
            self = access
        } else if let name = path.suffix(after: "/api/crest/v1/") {
            guard let access = Self.own["\(method) \(name)"] else { return nil }
            self = access
        } else if path.hasPrefix("/prometheus/api/v1/") {
            self = .tenant(.query)
        } else if method == "POST" {
            guard let access = Self.ingest[path] else { return nil }
            self = access
        } else if method == "GET", path.hasPrefix("/api/") || path.hasPrefix("/zipkin/api/v2/") {
            self = .tenant(.query)
        } else {
            return nil
        }
    }

    private static let common: [String: RouteAccess] = [
        "/-/ready": .open, "/-/healthy": .open, "/health": .open, "/zipkin/health": .open, "/": .tenant(.query),
        "/metrics": .tenant(.scrape), "/-/reload": .shared(.admin),
    ]

    private static let ingest: [String: RouteAccess] = [
        "/v1/traces": .tenant(.ingest), "/api/traces": .tenant(.ingest), "/api/v2/spans": .tenant(.ingest),
        "/api/v1/spans": .tenant(.ingest), "/zipkin/api/v2/spans": .tenant(.ingest),
        "/zipkin/api/v1/spans": .tenant(.ingest), "/v1/logs": .tenant(.ingest), "/v1/metrics": .tenant(.ingest),
        "/v1development/profiles": .tenant(.ingest),
        "/api/v1/write": .tenant(.ingest), "/api/v1/statsd": .tenant(.ingest),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export": .tenant(.ingest),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": .tenant(.ingest),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export": .tenant(.ingest),
        "/grpc.health.v1.Health/Check": .open,
    ]

    private static let own: [String: RouteAccess] = [
        "GET traces/*": .tenant(.query), "DELETE traces/*": .tenant(.admin), "DELETE traces": .tenant(.admin),
        "POST traces/*/pin": .tenant(.admin), "DELETE traces/*/pin": .tenant(.admin), "GET pins": .tenant(.query),
        "GET search": .tenant(.query), "GET services": .tenant(.query), "GET operations": .tenant(.query),
        "GET durable": .tenant(.query), "GET ledger": .shared(.query), "GET status": .shared(.query),
        "GET admission": .shared(.query),
        "GET snapshots": .shared(.admin), "POST snapshots": .shared(.admin), "GET series": .tenant(.query),
        "GET series/range": .tenant(.query), "GET rejects": .tenant(.query), "GET explain": .tenant(.query),
        "POST explain": .tenant(.query), "GET metrics/cardinality": .tenant(.query),
        "GET metrics/conflicts": .tenant(.query), "GET metrics/top": .tenant(.query),
    ]
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}

/// The routes there are, for the test that each has a rule.
package enum RouteList {
    package static var all: [String] { Routes.all.map { "\($0.method) \($0.literalPath)" } }
    package static var withoutAccess: [String] {
        Routes.all.filter { $0.access == nil }.map { "\($0.method) \($0.literalPath)" }
    }
}
