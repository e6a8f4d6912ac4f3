internal import QueryEngine
internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// The Zipkin v2 read API, as Zipkin's UI and Grafana call it. Names are answered in lower case and match without
/// case. Source: schemas/query/zipkin.md.
enum ZipkinQueries {

    /// `GET /api/v2/services`.
    static func services(_ call: Call) -> Response { list(serviceNames(call), call) }

    /// `GET /api/v2/spans?serviceName=`.
    static func spanNames(_ call: Call) -> Response {
        guard let service = call.query.nonEmpty("serviceName") else {
            return call.badRequest("serviceName is required")
        }
        var names: Set<String> = []
        for stored in storedNames(of: service, call) {
            for operation in call.context.engine.source.operations(service: stored, tenant: call.context.tenant) {
                names.insert(operation.name.lowercased())
            }
        }
        return list(names.sorted(), call)
    }

    /// `GET /api/v2/remoteServices?serviceName=`: from the newest traces of the service.
    static func remoteServices(_ call: Call) -> Response {
        guard let service = call.query.nonEmpty("serviceName") else {
            return call.badRequest("serviceName is required")
        }
        do {
            return list(try remoteNames(of: service, call).sorted(), call)
        } catch { return call.failure(error) }
    }

    private static func remoteNames(of service: String, _ call: Call) throws(ReadError) -> Set<String> {
        let filters = storedNames(of: service, call).map { name in
            var filter = SpanFilter()
            filter.tenant = call.context.tenant
            filter.service = name
            return filter
        }
        guard !filters.isEmpty else { return [] }
        var names: Set<String> = []
        var cursor = try call.context.engine.cursor(filters, budget: call.budget)
        var read = 0
        while read < Limits.remoteNameTraces, let extent = try cursor.next() {
            read += 1
            for span in try call.trace(extent.traceID)?.spans ?? []
            where span.serviceName.lowercased() == service.lowercased() {
                if let name = ZipkinTraceFilter.remoteName(of: span) { names.insert(name.lowercased()) }
            }
        }
        return names
    }

    /// `GET /api/v2/traces`.
    static func search(_ call: Call) -> Response {
        let search: ZipkinSearch
        do { search = try ZipkinSearch(call.query, now: call.context.now()) } catch {
            return call.badRequest(error.message)
        }
        do { return traces(try find(search, call)) } catch { return call.failure(error) }
    }

    private static func find(_ search: ZipkinSearch, _ call: Call) throws(ReadError) -> [StoredTrace] {
        let services = search.filter.service.map { storedNames(of: $0, call) } ?? []
        let filters = search.filter.candidates(
            services: services, operations: storedOperations(search, services, call), tenant: call.context.tenant)
        guard !filters.isEmpty else { return [] }
        var found: [StoredTrace] = []
        var cursor = try call.context.engine.cursor(filters, budget: call.budget)
        while found.count < search.limit, let extent = try cursor.next() {
            // A trace whose first span is later has its root later, too.
            guard extent.start <= search.filter.window.upperBound else { continue }
            guard let trace = try call.trace(extent.traceID), search.filter.matches(trace.spans) else { continue }
            found.append(trace)
        }
        return found
    }

    private static func storedOperations(_ search: ZipkinSearch, _ services: [String], _ call: Call) -> [String] {
        guard let wanted = search.filter.spanName?.lowercased() else { return [] }
        let source = call.context.engine.source
        let lists =
            search.filter.service == nil
            ? [source.operations(service: nil, tenant: call.context.tenant)]
            : services.map { source.operations(service: $0, tenant: call.context.tenant) }
        return Set(lists.joined().map(\.name).filter { $0.lowercased() == wanted }).sorted()
    }

    /// `GET /api/v2/trace/{id}`.
    static func trace(_ call: Call) -> Response {
        let text = call.path.first ?? ""
        guard let traceID = call.traceID else {
            return call.badRequest("\(text) should be 1 to 32 hexadecimal digits, not all zero")
        }
        do {
            guard let trace = try call.trace(traceID) else { return .text("\(text) not found\n", status: 404) }
            var json = JSONWriter()
            write(trace, to: &json)
            var response = Response.json(json.bytes)
            response.markCut([trace])
            return response
        } catch { return call.failure(error) }
    }

    /// `GET /api/v2/traceMany?traceIds=a,b`: those that are there.
    static func traceMany(_ call: Call) -> Response {
        let traceIDs: [TraceID]
        do { traceIDs = try ZipkinSearch.traceIDs(call.query) } catch { return call.badRequest(error.message) }
        do {
            var found: [StoredTrace] = []
            for traceID in traceIDs {
                if let trace = try call.trace(traceID) { found.append(trace) }
            }
            return traces(found)
        } catch { return call.failure(error) }
    }

    private static func traces(_ traces: [StoredTrace]) -> Response {
        var json = JSONWriter()
        json.beginArray()
        for trace in traces { write(trace, to: &json) }
        json.endArray()
        var response = Response.json(json.bytes)
        response.markCut(traces)
        return response
    }

    /// What was sent in parts is put together, as Zipkin does it on reading.
    private static func write(_ trace: StoredTrace, to json: inout JSONWriter) {
        writeZipkinSpans(trace.spans.withPartsMerged(TraceTree(trace.spans)), to: &json)
    }

    /// `GET /api/v2/dependencies?endTs=&lookback=`.
    static func dependencies(_ call: Call) -> Response {
        let window: ClosedRange<UInt64>
        do { window = try ZipkinSearch.window(call.query, defaultEnd: nil) } catch {
            return call.badRequest(error.message)
        }
        let graph: ServiceGraph
        do { graph = try ServiceGraph(window, call) } catch { return call.failure(error) }
        var json = JSONWriter()
        json.beginArray()
        for link in lowerCased(graph.links) {
            json.beginObject()
            json.string("parent", link.parent)
            json.string("child", link.child)
            json.number("callCount", link.callCount)
            if link.errorCount > 0 { json.number("errorCount", link.errorCount) }
            json.endObject()
        }
        json.endArray()
        var response = Response.json(json.bytes)
        response.headers += graph.headers
        return response
    }

    /// Edges whose names differ in case only become one.
    private static func lowerCased(_ links: [DependencyLink]) -> [DependencyLink] {
        var merged: [[String]: DependencyLink] = [:]
        for link in links {
            let key = [link.parent.lowercased(), link.child.lowercased()]
            var sum = merged[key] ?? DependencyLink(parent: key[0], child: key[1], callCount: 0, errorCount: 0)
            sum.callCount &+= link.callCount
            sum.errorCount &+= link.errorCount
            merged[key] = sum
        }
        return merged.values.sorted { ($0.parent, $0.child) < ($1.parent, $1.child) }
    }

    /// `GET /api/v2/autocompleteKeys`: none are configured.
    static func autocompleteKeys(_ call: Call) -> Response { cached(.json(Array("[]".utf8))) }

    /// `GET /api/v2/autocompleteValues?key=`.
    static func autocompleteValues(_ call: Call) -> Response {
        guard call.query.nonEmpty("key") != nil else { return call.badRequest("key is required") }
        return list([], call)
    }

    /// `GET /health`.
    static func health(_ call: Call) -> Response {
        let isUp = call.context.daemon.isReady()
        let state = isUp ? "UP" : "DOWN"
        let body = #"{"status":"\#(state)","zipkin":{"status":"\#(state)","details":{}}}"#
        return .json(Array(body.utf8), status: isUp ? 200 : 503)
    }

    // MARK: Names

    private static func serviceNames(_ call: Call) -> [String] {
        let stored = call.context.engine.source.services(tenant: call.context.tenant)
        return Set(stored.map { $0.lowercased() }).filter { !$0.isEmpty }.sorted()
    }

    private static func storedNames(of service: String, _ call: Call) -> [String] {
        let wanted = service.lowercased()
        return call.context.engine.source.services(tenant: call.context.tenant).filter {
            $0.lowercased() == wanted
        }
    }

    /// A list of names; browsers may keep it for a while once there are more than three services.
    private static func list(_ names: [String], _ call: Call) -> Response {
        var json = JSONWriter()
        json.strings(names)
        let response = Response.json(json.bytes)
        return serviceNames(call).count > 3 ? cached(response) : response
    }

    private static func cached(_ response: Response) -> Response {
        var response = response
        response.headers.append(("cache-control", "max-age=300, must-revalidate"))
        return response
    }
}
