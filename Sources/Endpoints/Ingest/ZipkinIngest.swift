internal import Telemetry
internal import WireFormats

/// `POST /api/v2/spans`: a JSON list. 202 without a body; one bad span costs only itself.
enum ZipkinIngest {
    static func spans(_ call: Call, reply: @escaping @Sendable (Response) -> Void) {
        let mediaType = call.request.mediaType
        guard mediaType != "application/x-protobuf", mediaType != "application/x-thrift" else {
            call.ledger.requestsRejected.add(1, .mediaType)
            reply(.text("\(mediaType) is not taken by this server; send application/json\n", status: 415))
            return
        }
        let body: [UInt8]
        let isGzip = call.request.header("content-encoding")?.lowercased() == "gzip"
        switch call.plainBody(corruptText: isGzip ? "Cannot gunzip spans" : nil) {
        case .success(let plain): body = plain
        case .failure(let refused): return reply(refused.response)
        }
        guard !body.isEmpty else { return reply(Response(status: 202)) }
        let origin = BatchOrigin(arrival: call.context.now())
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try decodeZipkinJSON(bytes, origin: origin) }
        }
        switch result {
        case .success(let decoded): accept(decoded, call, reply)
        case .failure(let error):
            reply(call.dialect.malformed(text(error), for: call.request, ledger: call.ledger))
        }
    }

    private static func accept(
        _ decoded: DecodedSpans, _ call: Call, _ reply: @escaping @Sendable (Response) -> Void
    ) {
        let message = decoded.message
        let allBad = decoded.received > 0 && decoded.batch.spans.isEmpty
        SpanIntake(call: call).accept(decoded, reply: reply) {
            guard allBad else { return Response(status: 202) }
            return call.dialect.malformed(message, for: call.request, ledger: call.ledger)
        }
    }

    /// What Zipkin itself says where it has words of its own.
    private static func text(_ error: WireError) -> String {
        switch error.kind {
        case .zipkinList, .zipkinVersion1: error.kind.rawValue
        default: error.description
        }
    }

    /// Ingest paths of other formats: known, and not taken.
    static func notTaken(_ format: String, instead: String) -> @Sendable (Call) -> Response {
        { call in
            call.ledger.requestsRejected.add(1, .notFound)
            return .text("\(format) is not taken by this server; use \(instead)\n", status: 404)
        }
    }
}
