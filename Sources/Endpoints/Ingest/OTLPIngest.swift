internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// `POST /v1/traces`: protobuf or JSON, answered in the encoding of the request.
enum OTLPIngest {
    static func traces(_ call: Call, reply: @escaping @Sendable (Response) -> Void) {
        guard let encoding = OTLPEncoding(mediaType: call.request.mediaType) else {
            call.ledger.requestsRejected.add(1, .mediaType)
            let supported = "[application/json, application/x-protobuf]"
            reply(.text("415 unsupported media type, supported: \(supported)\n", status: 415))
            return
        }
        let body: [UInt8]
        switch SpanIntake(call: call).body() {
        case .success(let plain): body = plain
        case .failure(let refused): return reply(refused.response)
        }
        let origin = BatchOrigin(tenant: call.context.tenant, arrival: call.context.now())
        let offer: SpanOffer
        do { offer = try call.context.offer(body, in: encoding, origin, from: .client) } catch {
            reply(call.dialect.malformed("\(error)", for: call.request, ledger: call.ledger))
            return
        }
        var (rejectedCount, message) = offer.rejection
        if offer.receivedCount == 0 { message = encoding.warning(about: body, known: "resourceSpans") }
        SpanIntake(call: call).accept(offer, reply: reply) { [rejectedCount, message] in
            encoding.success(rejectedCount: rejectedCount, message: message)
        }
    }

    /// `POST /v1/logs`, `/v1development/profiles`: not taken; a 404 is not retried by exporters.
    static func notTaken(_ signal: String) -> @Sendable (Call) -> Response {
        { call in
            call.ledger.requestsRejected.add(1, .notFound)
            return call.dialect.failure(404, "OTLP \(signal) are not taken by this server", for: call.request)
        }
    }
}

extension OTLPEncoding {
    init?(mediaType: String) {
        switch mediaType {
        case "application/x-protobuf": self = .protobuf
        case "application/json": self = .json
        default: return nil
        }
    }

    func decode(_ body: [UInt8], _ origin: BatchOrigin) throws(WireError) -> DecodedSpans {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in
                switch self {
                case .protobuf: try decodeOTLPTraces(bytes, origin: origin)
                case .json: try decodeOTLPTracesJSON(bytes, origin: origin)
                }
            }
        }
        return try result.get()
    }

    /// What to tell the sender of a body in which nothing was found; empty when there is nothing to tell.
    func warning(about body: [UInt8], known: StaticString) -> String {
        guard case .json = self, let key = body.withUnsafeBytes({ unknownOTLPKey($0, known: known) }) else { return "" }
        return "nothing was found: '\(key)' is no field of this request, '\(known)' is"
    }

    /// 200 with `ExportTraceServiceResponse`: empty, or with a partial success when spans were rejected.
    func success(rejectedCount: Int, message: String) -> Response {
        Response(
            status: 200, headers: [("content-type", contentType)],
            body: exportResponse(rejectedSpans: rejectedCount, message: message))
    }
}

/// `google.rpc.Status` as the body of a failed OTLP request.
enum OTLPStatusBody {
    /// In JSON when the request was, else in protobuf.
    static func response(_ status: Int, _ message: String, for request: Request) -> Response {
        let encoding = OTLPEncoding(mediaType: request.mediaType) ?? .protobuf
        return Response(
            status: status, headers: [("content-type", encoding.contentType)],
            body: encoding.status(
                rpcCode(status), message: message, badField: status == 400 ? place(in: message) : nil))
    }

    /// What a ``WireError`` says of the place: `resourceSpans[0].resource`, or nothing.
    private static func place(in message: String) -> String {
        message.firstRange(of: ", byte ").map { String(message[..<$0.lowerBound]) } ?? ""
    }

    /// For requests that need no media type: a text where they have none.
    static func response(_ status: Int, _ message: String, orText text: String, for request: Request) -> Response {
        guard OTLPEncoding(mediaType: request.mediaType) != nil else { return .text(text, status: status) }
        return response(status, message, for: request)
    }

    private static func rpcCode(_ status: Int) -> RPCCode {
        switch status {
        case 400, 405, 415: .invalidArgument
        case 401: .unauthenticated
        case 403, 421: .permissionDenied
        case 404: .unimplemented
        case 413, 429: .resourceExhausted
        case 503: .unavailable
        default: .internal
        }
    }
}
