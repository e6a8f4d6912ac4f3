internal import Telemetry
internal import WireFormats

/// Pins: traces that retention and thinning leave alone. What is answered with 200 is durable.
///
/// Source: schemas/http-api.yaml, "Pin".
enum Pinning {
    /// `POST /api/crest/v1/traces/{id}/pin`.
    static func pin(_ call: Call) -> Response { change(call, call.context.daemon.pin, isPinned: true) }

    /// `DELETE /api/crest/v1/traces/{id}/pin`.
    static func unpin(_ call: Call) -> Response { change(call, call.context.daemon.unpin, isPinned: false) }

    /// `GET /api/crest/v1/pins`: newest first.
    static func list(_ call: Call) -> Response {
        let pins = call.context.daemon.pins(call.context.tenant)
        var json = JSONWriter()
        json.beginObject()
        json.key("pins")
        json.beginArray()
        for pin in pins {
            json.beginObject()
            json.string("traceID", pin.traceID.hex32)
            json.string("pinned", TimeText.rfc3339(nanoseconds: pin.createdUnixNano))
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private static func change(
        _ call: Call, _ change: (TraceID, String) -> Result<Bool, PinRefusal>, isPinned: Bool
    ) -> Response {
        guard let traceID = call.traceID else {
            let message = "'\(call.path.first ?? "")' is not a trace id: 1 to 32 hexadecimal digits, not all zero"
            return call.badRequest(message, parameter: "id")
        }
        switch change(traceID, call.context.tenant) {
        case .success(let isChanged):
            var json = JSONWriter()
            json.beginObject()
            json.string("traceID", traceID.hex32)
            json.bool("pinned", isPinned)
            json.bool("changed", isChanged)
            json.endObject()
            return .json(json.bytes)
        case .failure(.unknown): return OwnError.response(404, "no trace \(traceID.hex32)")
        case .failure(.full(let reason)): return OwnError.response(429, reason)
        case .failure(.busy(let reason)):
            var response = OwnError.response(503, reason)
            response.headers.append(("retry-after", "1"))
            return response
        case .failure(.failed(let reason)): return OwnError.response(500, reason)
        }
    }
}
