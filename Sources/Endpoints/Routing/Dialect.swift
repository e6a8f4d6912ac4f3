internal import Telemetry
internal import WireFormats

/// The form in which an API words its refusals.
enum Dialect: Sendable {
    /// `google.rpc.Status` in the encoding of the request; a wrong method, path or media type as text when the request
    /// has no encoding.
    case otlp
    /// Text, which ``GRPCReply`` makes into a status.
    case grpc
    /// Text.
    case zipkin
    /// The v1 envelope with `data: null`, sent as text.
    case jaeger
    /// `{"error":{"status":400,"message":"...","parameter":"..."}}`.
    case own
    /// `{"status":"error","errorType":"bad_data","error":"..."}`.
    case prometheus
    /// Text.
    case plain

    /// For a path that no route knows.
    init(guessedFrom rawPath: Substring) {
        if rawPath.hasPrefix("/api/crest/") {
            self = .own
        } else if rawPath.hasPrefix("/prometheus/") {
            self = .prometheus
        } else if rawPath.hasPrefix("/v1/") || rawPath.hasPrefix("/v1development/") {
            self = .otlp
        } else {
            self = .plain
        }
    }

    // MARK: Refusals that count as such

    func badRequest(_ message: String, parameter: String?, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, .parameter)
        return failure(400, message, parameter: parameter, for: request)
    }

    func malformed(_ message: String, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, .malformed)
        return failure(400, message, for: request)
    }

    func tooLarge(limit: Int, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, .tooLarge)
        return failure(413, "the body is larger than \(limit) bytes", for: request)
    }

    func unknownEncoding(_ name: String, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, .encoding)
        let message = "content-encoding '\(name)' is not known; supported: gzip, zstd, deflate, identity"
        return failure(415, message, for: request)
    }

    /// 503 with Retry-After: nothing was stored and the client may send the same again.
    func busy(_ refusal: CommitRefusal, for request: Request, ledger: Ledger) -> Response {
        var seconds = 5
        var message = "read-only: the disk is full or failing"
        switch refusal {
        case .busy(let retryAfter):
            ledger.requestsRejected.add(1, .busy)
            seconds = min(max(retryAfter, 1), 30)
            message = "overloaded, nothing of this request was stored; try again later"
        case .tenantRate(let retryAfter):
            return limited(.tenantRate(seconds: Double(retryAfter)), for: request, ledger: ledger)
        case .sourceRate(let retryAfter):
            return limited(.sourceRate(seconds: Double(retryAfter)), for: request, ledger: ledger)
        case .readOnly(let reason):
            ledger.requestsRejected.add(1, .readOnly)
            if !reason.isEmpty { message = "read-only: \(reason)" }
        case .stopping:
            ledger.requestsRejected.add(1, .busy)
            seconds = 1
            message = "stopping, nothing of this request was stored; try again later"
        }
        var response = failure(503, message, for: request)
        response.headers.append(("retry-after", String(seconds)))
        return response
    }

    // MARK: Forms

    /// An error in this dialect's form. Counts nothing.
    func failure(_ status: Int, _ message: String, parameter: String? = nil, for request: Request) -> Response {
        switch self {
        case .otlp: OTLPStatusBody.response(status, message, for: request)
        case .grpc: .text(message, status: status)
        case .zipkin, .plain: .text(message + "\n", status: status)
        case .jaeger: JaegerEnvelope.failure(status, message)
        case .own: OwnError.response(status, message, parameter: parameter)
        case .prometheus: PrometheusEnvelope.failure(status, message)
        }
    }

    func unknownPath(_ request: Request) -> Response {
        switch self {
        case .own, .prometheus: failure(404, "no such path: \(request.rawPath)", for: request)
        case .grpc: failure(404, "no such method: \(request.rawPath)", for: request)
        case .otlp:
            OTLPStatusBody.response(
                404, "no such path: \(request.rawPath)", orText: "404 page not found\n", for: request)
        case .zipkin, .jaeger, .plain: .text("404 page not found\n", status: 404)
        }
    }

    func wrongMethod(_ request: Request, allowed: [String]) -> Response {
        let list = allowed.joined(separator: ", ")
        var response: Response
        switch self {
        case .otlp:
            let text = "405 method not allowed, supported: [\(list)]"
            response = OTLPStatusBody.response(405, text, orText: text + "\n", for: request)
        case .own, .prometheus:
            response = failure(405, "method \(request.method) is not allowed here: \(list)", for: request)
        case .grpc, .zipkin, .jaeger, .plain:
            response = .text("method \(request.method) is not allowed here: \(list)\n", status: 405)
        }
        response.headers.append(("allow", list))
        return response
    }

    /// How a query that gave no answer is told. Not a rejection: the request was good.
    func readFailure(_ error: ReadError, for request: Request) -> Response {
        switch error {
        case .stopped(.deadline): failure(504, "the query ran out of time; narrow it", for: request)
        case .stopped(.bytes(let limit)):
            failure(422, "the query would read more than \(limit) bytes; narrow it", for: request)
        case .stopped(.cancelled): failure(499, "the client went away", for: request)
        case .storage(let reason): failure(500, "the store could not be read: \(reason)", for: request)
        }
    }
}

/// Errors of our own API.
enum OwnError {
    static func response(_ status: Int, _ message: String, parameter: String? = nil) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.key("error")
        json.beginObject()
        json.number("status", status)
        json.string("message", message)
        if let parameter { json.string("parameter", parameter) }
        json.endObject()
        json.endObject()
        return .json(json.bytes, status: status)
    }
}
