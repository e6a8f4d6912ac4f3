internal import Synchronization
package import Telemetry

/// Turns requests into responses. Pure: no sockets, no files, no clock of its own; safe from any thread.
///
/// A listener asks in this order:
/// 1. ``refusal(beforeBodyOf:listener:)`` when the head is there: an answer means that the body need not be read;
/// 2. ``tooLarge(_:listener:)`` when the body passes ``Limits/bodyBytes`` while it is read;
/// 3. ``work(for:listener:)``: where to answer;
/// 4. ``respond(to:listener:budget:reply:)``.
package final class Router: Sendable {
    package let context: EndpointContext
    private let tables: [ListenerRole: RouteTable]

    package init(_ context: EndpointContext) {
        self.context = context
        var tables: [ListenerRole: RouteTable] = [:]
        for role in ListenerRole.allCases {
            tables[role] = RouteTable(Routes.all.filter { $0.roles.contains(role) })
        }
        self.tables = tables
    }

    /// Whether to answer on the event loop or on a thread pool.
    package func work(for request: Request, listener: ListenerRole) -> Work {
        match(request, listener).route?.work ?? .inline
    }

    /// The answer that needs no body: no access, unknown path, wrong method, or overload. Nil: read the body and respond.
    package func refusal(beforeBodyOf head: Request, listener: ListenerRole) -> Response? {
        let found = match(head, listener)
        do { _ = try tenant(of: head, found, listener) } catch {
            context.ledger.requestsReceived.add(1, ordering: .relaxed)
            return withoutBody(deny(error, found, head), for: head)
        }
        guard let route = found.route else {
            context.ledger.requestsReceived.add(1, ordering: .relaxed)
            return withoutBody(refuse(found, head), for: head)
        }
        guard route.takesSpans, let refusal = context.daemon.overload() else { return nil }
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        return route.dialect.busy(refusal, for: head, ledger: context.ledger)
    }

    /// The answer to a body beyond ``Limits/bodyBytes``; the listener closes the connection after it.
    package func tooLarge(_ head: Request, listener: ListenerRole) -> Response {
        let dialect = match(head, listener).route?.dialect ?? .plain
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        return dialect.tooLarge(limit: Limits.bodyBytes, for: head, ledger: context.ledger)
    }

    /// Answers a complete request. `reply` is called exactly once: before this returns, or later from another thread
    /// (a span request is answered by the store's commit thread).
    /// - Parameter budget: cancel it when nobody waits for the answer any more.
    package func respond(
        to request: Request, listener: ListenerRole, budget: QueryBudget = QueryBudget(),
        reply: @escaping @Sendable (Response) -> Void
    ) {
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        let found = match(request, listener)
        var bound = context
        do { bound.tenant = try tenant(of: request, found, listener) } catch {
            return reply(withoutBody(deny(error, found, request), for: request))
        }
        guard let route = found.route else {
            reply(withoutBody(refuse(found, request), for: request))
            return
        }
        let query: QueryParameters
        do { query = try QueryParameters(request.rawQuery) } catch {
            let dialect = route.dialect
            reply(dialect.badRequest(error.description, parameter: nil, for: request, ledger: context.ledger))
            return
        }
        let call = Call(
            request: request, path: found.parameters, query: query, context: bound, budget: budget,
            dialect: route.dialect)
        switch route.handler {
        case .now(let handle): reply(withoutBody(handle(call), for: request))
        case .later(let handle): handle(call, reply)
        }
    }

    private func match(_ request: Request, _ listener: ListenerRole) -> RouteTable.Match {
        guard let table = tables[listener] else { return .notFound }
        var found = table.match(method: request.method, rawPath: request.rawPath)
        if listener == .otlpGRPC { found.dialect = .grpc }
        return found
    }

    /// Whose data the request is about. A route without a rule of access is open to nobody who needs a token.
    private func tenant(
        of request: Request, _ found: RouteTable.Match, _ listener: ListenerRole
    ) throws(AccessRefusal) -> String {
        let tenant = try context.access.tenant(of: request, by: found.route?.access, at: listener)
        if let route = found.route, route.access == nil, context.access.needsTokens { throw .scope(.admin) }
        return tenant
    }

    private func deny(_ refusal: AccessRefusal, _ found: RouteTable.Match, _ request: Request) -> Response {
        let dialect = found.route?.dialect ?? found.dialect ?? Dialect(guessedFrom: request.rawPath)
        return dialect.denied(refusal, for: request, ledger: context.ledger)
    }

    /// 404 or 405, in the form of the API whose path comes nearest.
    private func refuse(_ found: RouteTable.Match, _ request: Request) -> Response {
        let dialect = found.dialect ?? Dialect(guessedFrom: request.rawPath)
        if found.allowed.isEmpty {
            context.ledger.requestsRejected.add(1, .notFound)
            return dialect.unknownPath(request)
        }
        context.ledger.requestsRejected.add(1, .method)
        return dialect.wrongMethod(request, allowed: found.allowed)
    }

    /// HEAD gets the headers of GET, its length included, and no body.
    private func withoutBody(_ response: Response, for request: Request) -> Response {
        guard request.method == "HEAD" else { return response }
        var head = response
        head.headers.append(("content-length", String(response.body.count)))
        head.body = []
        return head
    }
}
