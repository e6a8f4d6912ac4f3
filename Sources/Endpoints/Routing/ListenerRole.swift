/// Which listener a request came in by. Each serves its own part of the paths; the raw value is the flag's name.
package enum ListenerRole: String, CaseIterable, Sendable {
    /// Everything: all ingest paths, all query APIs, scrape and admin.
    case http
    /// `/v1/*` only.
    case otlpHTTP = "otlp-http"
    /// The gRPC methods, as `POST /package.Service/Method` with the message as the body.
    case otlpGRPC = "otlp-grpc"
    /// The Zipkin paths, with and without the prefix `/zipkin`, and `/health`.
    case zipkin
    /// `POST /api/traces` only.
    case jaegerHTTP = "jaeger-http"
}

/// Where a request should be answered.
package enum Work: Sendable {
    /// On the event loop: short, never waits.
    case inline
    /// On a thread pool: may wait for locks and files.
    case pool
    /// On a pool of its own, in which only so many wait: may take up to ``Limits/querySeconds``.
    case query
}
