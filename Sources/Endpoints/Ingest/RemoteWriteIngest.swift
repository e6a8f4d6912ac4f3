internal import MetricsEngine
internal import Telemetry
internal import WireFormats

/// `POST /api/v1/write`: Prometheus remote write, version 1 and 2 by the content type.
///
///     204   all written              400   not this message, or some refused for good; the others are written
///     415   another message          503   nothing written; Retry-After
///
/// What was written is said in `X-Prometheus-Remote-Write-{Samples,Histograms,Exemplars}-Written` whenever a body could
/// be read.
/// Source: schemas/wire/remote-write.md.
enum RemoteWriteIngest {
    static func write(_ call: Call) -> Response {
        guard let version = version(of: call.request) else {
            call.ledger.requestsRejected.add(1, .mediaType)
            let known = "application/x-protobuf of proto prometheus.WriteRequest or io.prometheus.write.v2.Request"
            return .text("415 unsupported media type, supported: \(known)\n", status: 415)
        }
        guard call.context.metrics.remoteWrite != nil else {
            call.ledger.requestsRejected.add(1, .notFound)
            return call.dialect.failure(404, "metrics are off in this daemon", for: call.request)
        }
        let body: [UInt8]
        switch call.plainBody(impliesSnappy: true) {
        case .success(let plain): body = plain
        case .failure(let refused): return refused.response
        }
        let batch: RemoteWriteBatch
        do { batch = try decodeRemoteWrite(body, version: version) } catch {
            return call.dialect.malformed("\(error)", for: call.request, ledger: call.ledger)
        }
        let written: RemoteWriteReport?
        switch call.metricsToWrite() {
        case .success(let metrics): written = metrics.remoteWrite?(batch)
        case .failure(let refused): return refused.response
        }
        guard let report = written else {
            return call.dialect.busy(.busy(retryAfter: 1), for: call.request, ledger: call.ledger)
        }
        return response(to: report)
    }

    private static func response(to report: RemoteWriteReport) -> Response {
        var response = Response(status: 204)
        if report.rejectedCount > 0 {
            let others = report.rejectedCount > 1 ? " (and \(report.rejectedCount - 1) more)" : ""
            response = .text(report.message + others + "\n", status: 400)
        }
        let prefix = "x-prometheus-remote-write-"
        response.headers.append((prefix + "samples-written", String(report.samples)))
        response.headers.append((prefix + "histograms-written", String(report.histograms)))
        response.headers.append((prefix + "exemplars-written", String(report.exemplars)))
        return response
    }

    /// By the parameter `proto` of the content type; without one it is version 1. Nil for anything else.
    private static func version(of request: Request) -> RemoteWriteVersion? {
        guard request.mediaType == "application/x-protobuf" else { return nil }
        let parameters = (request.header("content-type") ?? "").split(separator: ";").dropFirst()
        for parameter in parameters {
            let pair = parameter.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0].filter({ $0 != " " }).lowercased() == "proto" else { continue }
            switch pair[1].filter({ $0 != " " && $0 != "\"" }) {
            case "prometheus.WriteRequest": return .one
            case "io.prometheus.write.v2.Request": return .two
            default: return nil
            }
        }
        return .one
    }
}
