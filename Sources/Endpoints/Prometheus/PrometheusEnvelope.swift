internal import QueryEngine
internal import WireFormats

/// The frame around every reply of the Prometheus API.
///
///     {"status":"success","data":X}
///     {"status":"error","errorType":"bad_data","error":"..."}
enum PrometheusEnvelope {
    /// - Parameter data: writes exactly one value.
    static func success(_ data: (inout JSONWriter) -> Void) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.string("status", "success")
        json.key("data")
        data(&json)
        json.endObject()
        return .json(json.bytes)
    }

    static func failure(_ status: Int, type: String, _ message: String) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.string("status", "error")
        json.string("errorType", type)
        json.string("error", message)
        json.endObject()
        return .json(json.bytes, status: status)
    }

    /// For refusals that know their status only.
    static func failure(_ status: Int, _ message: String) -> Response {
        let type =
            switch status {
            case 404: "not_found"
            case 422: "execution"
            case 499: "canceled"
            case 503: "unavailable"
            case 504: "timeout"
            case 500...: "internal"
            default: "bad_data"
            }
        return failure(status, type: type, message)
    }
}

extension Call {
    /// How a query that gave no answer is told. What is wrong with the question counts as a bad parameter.
    func failure(_ error: PromQueryError) -> Response {
        switch error {
        case .parse(let defect): badRequest("invalid parameter \"query\": \(defect)")
        case .badData(let message): badRequest(message)
        case .execution(let message): PrometheusEnvelope.failure(422, type: "execution", message)
        case .timeout:
            PrometheusEnvelope.failure(503, type: "timeout", "query timed out in expression evaluation")
        case .cancelled:
            PrometheusEnvelope.failure(499, type: "canceled", "query was canceled in expression evaluation")
        case .storage(let reason): PrometheusEnvelope.failure(500, type: "internal", reason)
        }
    }
}
