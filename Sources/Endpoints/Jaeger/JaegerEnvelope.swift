internal import WireFormats

/// The frame around every reply of the Jaeger v1 API.
///
///     {"data":X,"total":N,"limit":0,"offset":0,"errors":null}
enum JaegerEnvelope {
    /// One entry of `errors`.
    struct Problem {
        var code: Int
        var message: String
        var traceID: String?
    }

    /// - Parameters:
    ///   - isPretty: four spaces a level, as `prettyPrint=true` asks.
    ///   - data: writes exactly one value.
    static func success(
        total: Int, isPretty: Bool = false, problems: [Problem] = [], data: (inout JSONWriter) -> Void
    ) -> Response {
        .json(envelope(total: total, isPretty: isPretty, problems: problems, data: data))
    }

    /// Errors are the same envelope with `data: null`, sent as text, with a newline.
    static func failure(_ status: Int, _ message: String, traceID: String? = nil) -> Response {
        let problem = Problem(code: status, message: message, traceID: traceID)
        let body = envelope(total: 0, isPretty: false, problems: [problem]) { $0.null() }
        return Response(
            status: status,
            headers: [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")],
            body: body + [UInt8(ascii: "\n")])
    }

    private static func envelope(
        total: Int, isPretty: Bool, problems: [Problem], data: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var json = JSONWriter(indent: isPretty ? 4 : 0)
        json.beginObject()
        json.key("data")
        data(&json)
        json.number("total", total)
        json.number("limit", 0)
        json.number("offset", 0)
        json.key("errors")
        if problems.isEmpty { json.null() } else { write(problems, to: &json) }
        json.endObject()
        return json.bytes
    }

    private static func write(_ problems: [Problem], to json: inout JSONWriter) {
        json.beginArray()
        for problem in problems {
            json.beginObject()
            json.number("code", problem.code)
            json.string("msg", problem.message)
            if let traceID = problem.traceID { json.string("traceID", traceID) }
            json.endObject()
        }
        json.endArray()
    }
}
