internal import QueryEngine
internal import Telemetry

/// One path and method with what answers it.
struct Route: Sendable {
    enum Handler: Sendable {
        case now(@Sendable (Call) -> Response)
        /// Calls the closure exactly once, perhaps later and from another thread.
        case later(@Sendable (Call, @escaping @Sendable (Response) -> Void) -> Void)
    }

    var method: String
    /// Segments after the leading slash; `*` stands for one segment that becomes a parameter.
    var segments: [String]
    var roles: Set<ListenerRole>
    var work: Work
    var dialect: Dialect
    /// Nil: nobody may use the route while tokens are in use.
    var access: RouteAccess?
    /// Writes spans: refused before the body is read when the store is busy.
    var takesSpans = false
    var handler: Handler

    /// `pattern` is a path such as `/api/traces/*`.
    init(
        _ method: String, _ pattern: String, _ dialect: Dialect, roles: Set<ListenerRole> = [.http],
        work: Work = .inline, takesSpans: Bool = false, _ handler: Handler
    ) {
        self.method = method
        self.segments = pattern.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        self.roles = roles
        self.work = work
        self.dialect = dialect
        self.takesSpans = takesSpans
        self.access = RouteAccess(method: method, path: pattern)
        self.handler = handler
    }

    /// Brings telemetry: let in by memory and rates.
    var isIngest: Bool {
        switch access {
        case .tenant(.ingest), .shared(.ingest): true
        default: false
        }
    }

    var isLiteral: Bool { !segments.contains("*") }
    var literalPath: String { "/" + segments.joined(separator: "/") }
}

/// What a handler works on.
struct Call: Sendable {
    let request: Request
    /// The values of the path's `*` segments, percent-decoded.
    let path: [String]
    let query: QueryParameters
    var context: EndpointContext
    let budget: QueryBudget
    let dialect: Dialect

    var ledger: Ledger { context.ledger }

    /// A 400 in the route's dialect, counted as a bad parameter.
    func badRequest(_ message: String, parameter: String? = nil) -> Response {
        dialect.badRequest(message, parameter: parameter, for: request, ledger: ledger)
    }
}

/// The routes of one listener, found by path.
struct RouteTable: Sendable {
    struct Match: Sendable {
        var route: Route?
        var parameters: [String] = []
        /// The methods of the path when it is known but `route` is nil; empty for an unknown path.
        var allowed: [String] = []
        var dialect: Dialect?

        static let notFound = Match()
    }

    /// By the path as received: the common case costs one lookup.
    private var literals: [String: [Route]] = [:]
    private var patterns: [Route] = []

    init(_ routes: [Route]) {
        for route in routes {
            if route.isLiteral {
                literals[route.literalPath, default: []].append(route)
            } else {
                patterns.append(route)
            }
        }
    }

    /// - Parameter rawPath: without the query, still percent-encoded; it is split before it is decoded, so that a
    ///   segment may hold an encoded slash.
    func match(method: String, rawPath: Substring) -> Match {
        if let routes = literals[String(rawPath)] { return choose(routes, method, []) }
        var segments: [String] = []
        for raw in rawPath.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let segment = PercentEncoding.decoded(raw, plusIsSpace: false) else { return .notFound }
            segments.append(segment)
        }
        guard rawPath.utf8.first == UInt8(ascii: "/") else { return .notFound }
        let plain = "/" + segments.joined(separator: "/")
        if let routes = literals[plain], !segments.contains(where: { $0.contains("/") }) {
            return choose(routes, method, [])
        }
        let matching = patterns.filter { fits($0, segments) }
        guard let first = matching.first else { return .notFound }
        let parameters = zip(first.segments, segments).filter { $0.0 == "*" }.map(\.1)
        return choose(matching.filter { $0.segments == first.segments }, method, parameters)
    }

    private func fits(_ route: Route, _ segments: [String]) -> Bool {
        guard route.segments.count == segments.count else { return false }
        return zip(route.segments, segments).allSatisfy { $0 == "*" ? !$1.isEmpty : $0 == $1 }
    }

    private func choose(_ routes: [Route], _ method: String, _ parameters: [String]) -> Match {
        let wanted = method == "HEAD" ? "GET" : method
        if let route = routes.first(where: { $0.method == wanted }) {
            return Match(route: route, parameters: parameters)
        }
        var allowed = routes.map(\.method)
        if allowed.contains("GET") { allowed.append("HEAD") }
        return Match(allowed: allowed, dialect: routes.first?.dialect)
    }
}
