internal import QueryEngine
internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// The Jaeger v1 read API, as Jaeger's UI and Grafana call it. Source: schemas/query/jaeger.md.
enum JaegerQueries {

    /// `GET /api/services`.
    static func services(_ call: Call) -> Response {
        let services = call.context.engine.source.services(tenant: call.context.tenant)
        return JaegerEnvelope.success(total: services.count, isPretty: call.isPretty) { $0.strings(services) }
    }

    /// `GET /api/services/{service}/operations`: unique names.
    static func operationNames(_ call: Call) -> Response {
        let operations = call.context.engine.source.operations(service: call.path.first, tenant: call.context.tenant)
        let names = Set(operations.map(\.name)).sorted()
        return JaegerEnvelope.success(total: names.count, isPretty: call.isPretty) { $0.strings(names) }
    }

    /// `GET /api/operations?service=&spanKind=`: names with kinds.
    static func operations(_ call: Call) -> Response {
        guard let service = call.query.nonEmpty("service") else {
            return call.badRequest("parameter 'service' is required")
        }
        var operations = call.context.engine.source.operations(service: service, tenant: call.context.tenant)
        if let text = call.query.nonEmpty("spanKind") {
            guard let kind = SpanKind(label: text) else {
                return call.badRequest("unsupported span kind: '\(text)'")
            }
            operations = operations.filter { $0.kind == kind }
        }
        return JaegerEnvelope.success(total: operations.count, isPretty: call.isPretty) { json in
            json.beginArray()
            for operation in operations {
                json.beginObject()
                json.string("name", operation.name)
                json.string("spanKind", operation.kind.label)
                json.endObject()
            }
            json.endArray()
        }
    }

    /// `GET /api/traces/{id}`.
    static func trace(_ call: Call) -> Response {
        guard let traceID = call.path.first.flatMap({ JaegerTraceID.read($0) }) else {
            let text = call.path.first ?? ""
            return call.badRequest("'\(text)' is not a trace id: 1 to 32 hexadecimal digits, not all zero")
        }
        do {
            guard let trace = try call.trace(traceID) else {
                return JaegerEnvelope.failure(404, "trace not found")
            }
            return respond(call, [trace])
        } catch { return call.failure(error) }
    }

    /// `GET /api/traces`: a search, or several traces by `traceID`.
    static func search(_ call: Call) -> Response {
        let search: JaegerSearch
        do { search = try JaegerSearch(call.query, tenant: call.context.tenant, now: call.context.now()) } catch {
            return call.badRequest(error.message)
        }
        do {
            return search.traceIDs.isEmpty ? try find(search, call) : try fetch(search.traceIDs, call)
        } catch { return call.failure(error) }
    }

    private static func find(_ search: JaegerSearch, _ call: Call) throws(ReadError) -> Response {
        let page = try call.context.engine.search([search.filter], limit: search.limit, budget: call.budget)
        var traces: [StoredTrace] = []
        for extent in page.traces {
            if let trace = try call.trace(extent.traceID) { traces.append(trace) }
        }
        return respond(call, traces)
    }

    private static func fetch(_ traceIDs: [TraceID], _ call: Call) throws(ReadError) -> Response {
        var traces: [StoredTrace] = []
        var problems: [JaegerEnvelope.Problem] = []
        for traceID in traceIDs {
            if let trace = try call.trace(traceID) {
                traces.append(trace)
            } else {
                problems.append(.init(code: 404, message: "trace not found", traceID: traceID.hexShort))
            }
        }
        return respond(call, traces, problems)
    }

    private static func respond(
        _ call: Call, _ traces: [StoredTrace], _ problems: [JaegerEnvelope.Problem] = []
    ) -> Response {
        var response = JaegerEnvelope.success(
            total: traces.count, isPretty: call.isPretty, problems: problems
        ) { json in
            json.beginArray()
            for trace in traces { write(trace, isRaw: call.query["raw"] == "true", to: &json) }
            json.endArray()
        }
        response.markCut(traces)
        return response
    }

    /// - Parameter isRaw: as stored: ids shared by two spans, no remarks about clocks.
    private static func write(_ trace: StoredTrace, isRaw: Bool, to json: inout JSONWriter) {
        guard !isRaw else { return writeJaegerTrace(trace.spans, to: &json) }
        let tree = TraceTree(trace.spans)
        let skews = ClockSkew(trace.spans, tree: tree).corrections
        writeJaegerTrace(trace.spans.withSharedSpansApart(tree), skews: skews, to: &json)
    }

    /// `GET /api/dependencies`.
    static func dependencies(_ call: Call) -> Response {
        do {
            let end = try JaegerSearch.milliseconds("endTs", call.query) ?? call.context.now()
            let day: UInt64 = 86_400 * 1_000_000_000
            let lookback = try JaegerSearch.milliseconds("lookback", call.query) ?? day
            let window = (end > lookback ? end - lookback : 0)...end
            let graph: ServiceGraph
            do { graph = try ServiceGraph(window, call) } catch { return call.failure(error) }
            var links = graph.links
            if let service = call.query.nonEmpty("service") {
                links = links.filter { $0.parent == service || $0.child == service }
            }
            var response = JaegerEnvelope.success(total: links.count, isPretty: call.isPretty) { json in
                json.beginArray()
                for link in links {
                    json.beginObject()
                    json.string("parent", link.parent)
                    json.string("child", link.child)
                    json.number("callCount", link.callCount)
                    json.endObject()
                }
                json.endArray()
            }
            response.headers += graph.headers
            return response
        } catch { return call.badRequest(error.message) }
    }
}

extension Call {
    fileprivate var isPretty: Bool { query["prettyPrint"] == "true" }
}
