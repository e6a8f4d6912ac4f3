internal import Telemetry
internal import WireFormats

/// `POST /v1/metrics`: protobuf or JSON, answered in the encoding of the request.
enum OTLPMetricsIngest {
    static func metrics(_ call: Call) -> Response {
        guard let encoding = OTLPEncoding(mediaType: call.request.mediaType) else {
            call.ledger.requestsRejected.add(1, .mediaType)
            let supported = "[application/json, application/x-protobuf]"
            return .text("415 unsupported media type, supported: \(supported)\n", status: 415)
        }
        guard call.context.metrics.points != nil else {
            call.ledger.requestsRejected.add(1, .notFound)
            return call.dialect.failure(404, "metrics are off in this daemon", for: call.request)
        }
        let body: [UInt8]
        switch call.plainBody() {
        case .success(let plain): body = plain
        case .failure(let refused): return refused.response
        }
        let points: MetricPoints
        do { points = try encoding.decodeMetrics(body) } catch {
            return call.dialect.malformed("\(error)", for: call.request, ledger: call.ledger)
        }
        var outcome: PointOutcome
        switch call.metricsToWrite() {
        case .success(let metrics): outcome = metrics.points?(points) ?? PointOutcome(rejected: 0, message: "")
        case .failure(let refused): return refused.response
        }
        if points.metrics.isEmpty, outcome.message.isEmpty {
            outcome.message = encoding.warning(about: body, known: "resourceMetrics")
        }
        if outcome.isBusy { return call.dialect.busy(.busy(retryAfter: 1), for: call.request, ledger: call.ledger) }
        return Response(
            status: 200, headers: [("content-type", encoding.contentType)],
            body: encoding.metricsResponse(rejectedPoints: outcome.rejected, message: outcome.message))
    }
}

extension OTLPEncoding {
    func decodeMetrics(_ body: [UInt8]) throws(WireError) -> MetricPoints {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in
                switch self {
                case .protobuf: try decodeOTLPMetrics(bytes)
                case .json: try decodeOTLPMetricsJSON(bytes)
                }
            }
        }
        return try result.get()
    }
}
