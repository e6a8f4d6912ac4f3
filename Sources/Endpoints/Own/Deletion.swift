internal import QueryEngine
internal import Telemetry
internal import WireFormats

/// The deleting half of `/api/crest/v1`: what is answered with 200 is durable and in no query that starts later.
///
/// Source: schemas/http-api.yaml, "Deleted".
enum Deletion {
    /// Traces one request by conditions deletes at most; the reply says when there are more.
    private static let tracesPerRequest = 1_000
    private static let conditions = [
        "service", "operation", "kind", "tag", "min_duration", "max_duration", "error", "start", "end",
    ]

    /// `DELETE /api/crest/v1/traces/{id}`.
    static func trace(_ call: Call) -> Response {
        guard let traceID = call.traceID else {
            let message = "'\(call.path.first ?? "")' is not a trace id: 1 to 32 hexadecimal digits, not all zero"
            return call.badRequest(message, parameter: "id")
        }
        switch call.context.daemon.delete([traceID], call.context.tenant) {
        case .success(0): return OwnError.response(404, "no trace \(traceID.hex32)")
        case .success(let count): return deleted(count, hasMore: false)
        case .failure(let refusal): return response(refusal)
        }
    }

    /// `DELETE /api/crest/v1/traces?tag=k:v&service=...`: every trace that a search with these conditions finds.
    static func matching(_ call: Call) -> Response {
        let parameters: SearchParameters
        do { parameters = try SearchParameters(call.query, tenant: call.context.tenant) } catch {
            return call.badRequest(error.message, parameter: error.parameter)
        }
        for name in ["limit", "sort", "page"] where call.query.nonEmpty(name) != nil {
            return call.badRequest("has no meaning for a deletion", parameter: name)
        }
        guard conditions.contains(where: { call.query.nonEmpty($0) != nil }) else {
            return call.badRequest("give at least one of: \(conditions.joined(separator: ", "))", parameter: "tag")
        }
        do {
            let page = try call.context.engine.search(
                [parameters.filter], order: .newestFirst, limit: tracesPerRequest, after: nil, budget: call.budget)
            switch call.context.daemon.delete(page.traces.map(\.traceID), call.context.tenant) {
            case .success(let count): return deleted(count, hasMore: page.next != nil)
            case .failure(let refusal): return response(refusal)
            }
        } catch { return call.failure(error) }
    }

    private static func deleted(_ count: Int, hasMore: Bool) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.number("deleted", count)
        json.bool("more", hasMore)
        json.endObject()
        return .json(json.bytes)
    }

    private static func response(_ refusal: DeletionRefusal) -> Response {
        switch refusal {
        case .busy(let reason):
            var response = OwnError.response(503, reason)
            response.headers.append(("retry-after", "1"))
            return response
        case .failed(let reason): return OwnError.response(500, reason)
        }
    }
}
