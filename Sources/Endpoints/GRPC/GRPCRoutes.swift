internal import Telemetry
internal import WireFormats

extension Routes {
    /// The gRPC methods. Source: schemas/wire/otlp-grpc.md.
    static let grpc: [Route] = [
        Route(
            "POST", collector("trace.v1.TraceService"), .grpc, roles: [.otlpGRPC], takesSpans: true,
            .later { OTLPIngest.traces($0, reply: $1) }),
        Route(
            "POST", collector("metrics.v1.MetricsService"), .grpc, roles: [.otlpGRPC], work: .pool,
            .now(OTLPMetricsIngest.metrics)),
        Route(
            "POST", collector("logs.v1.LogsService"), .grpc, roles: [.otlpGRPC], .now(OTLPIngest.notTaken("logs"))),
        Route("POST", "/grpc.health.v1.Health/Check", .grpc, roles: [.otlpGRPC], .now(HealthCheck.answer)),
    ]

    private static func collector(_ service: String) -> String {
        "/opentelemetry.proto.collector.\(service)/Export"
    }
}

/// `grpc.health.v1.Health/Check`: whether a client should send here.
enum HealthCheck {
    /// The whole server, and the services that take telemetry.
    private static let services: Set<String> = [
        "", "opentelemetry.proto.collector.trace.v1.TraceService",
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
    ]

    static func answer(_ call: Call) -> Response {
        let body: [UInt8]
        switch call.plainBody() {
        case .success(let plain): body = plain
        case .failure(let refused): return refused.response
        }
        let named = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try GRPCHealth.service(bytes) }
        }
        switch named {
        case .failure(let error):
            return call.dialect.malformed("\(error)", for: call.request, ledger: call.ledger)
        case .success(let name) where !services.contains(name):
            var response = call.dialect.failure(404, "no such service", for: call.request)
            response.headers.append((GRPCReply.statusHeader, "\(RPCCode.notFound.rawValue)"))
            return response
        case .success:
            let isServing = call.context.daemon.isReady() && call.context.daemon.overload() == nil
            return Response(status: 200, body: GRPCHealth.response(isServing: isServing))
        }
    }
}
