internal import Endpoints
internal import Listeners

extension CrestDaemon {
    func bindGRPC(_ router: Router) throws(StartFailure) {
        let service = HTTPWiring(router: router, role: .otlpGRPC, phase: phase).service
        for case .internet(let address) in configuration.addresses(.otlpGRPC) {
            do throws(ListenerError) {
                note(.internet(try grpcServer.bind(address, service: service, tls: tls)), of: .otlpGRPC)
            } catch { throw StartFailure(error, .otlpGRPC) }
        }
    }
}

extension DaemonMetrics {
    /// gRPC connections and calls.
    var calls: [SelfMetricFamily] {
        [
            .gauge("crest_grpc_connections", "Open gRPC connections.", Double(grpc.open)),
            .counter("crest_grpc_connections_accepted_total", "gRPC connections accepted.", grpc.accepted),
            .counter(
                "crest_grpc_connections_refused_total", "gRPC connections closed because there were too many.",
                grpc.refused),
            .counters(
                "crest_grpc_connections_closed_total", "gRPC connections closed for a breach, by kind.", by: "kind",
                grpc.closed.map { ($0.kind.rawValue, $0.count) }),
            .counters(
                "crest_grpc_calls_total", "gRPC calls answered, by status code.", by: "code",
                grpc.calls.map { ("\($0.code)", $0.count) }),
            .counter(
                "crest_grpc_streams_refused_total", "gRPC calls reset without an answer: broken, or after the goodbye.",
                grpc.refusedStreams),
            .counter("crest_grpc_calls_cancelled_total", "gRPC calls that the client gave up.", grpc.cancelled),
        ]
    }
}
