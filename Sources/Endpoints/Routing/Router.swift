internal import Synchronization
package import Telemetry

/// Turns requests into responses. Pure: no sockets, no files, no clock of its own; safe from any thread.
///
/// A listener asks in this order:
/// 1. ``refusal(beforeBodyOf:listener:)`` when the head is there: an answer means that the body need not be read;
/// 2. ``tooLarge(_:listener:)`` when the body passes ``MemoryBudget/bodyBytes`` while it is read;
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

    /// Whether to answer on the event loop or on a thread pool, and on which.
    ///
    /// A large body is decoded on the pool: an event loop that decodes reads no heads meanwhile, and then nobody is told
    /// in time to come again. A small one costs less than to hand it over.
    package func work(for request: Request, listener: ListenerRole) -> Work {
        let work = match(request, listener).route?.work ?? .inline
        return work == .inline && request.body.count > Limits.inlineBodyBytes ? .pool : work
    }

    /// The answer that needs no body: no access, unknown path, wrong method, overload, or more than the sender may.
    /// Nil: read the body and respond; the request holds its memory then.
    package func refusal(beforeBodyOf head: inout Request, listener: ListenerRole) -> Response? {
        let found = match(head, listener)
        let tenant: String
        do { tenant = try self.tenant(of: head, found, listener) } catch {
            context.ledger.requestsReceived.add(1, ordering: .relaxed)
            return withoutBody(deny(error, found, head), for: head)
        }
        guard let route = found.route else {
            context.ledger.requestsReceived.add(1, ordering: .relaxed)
            return withoutBody(refuse(found, head), for: head)
        }
        guard route.isIngest else {
            head.reservation = MemoryReservation(context.admission.budget)
            return nil
        }
        let refused: Response
        if route.takesSpans, let refusal = context.daemon.overload() ?? behind(tenant) {
            refused = route.dialect.busy(refusal, for: head, ledger: context.ledger)
        } else if let refusal = context.admission.admit(&head, tenant: tenant, source: limitedSource(of: head)) {
            refused = route.dialect.limited(refusal, for: head, ledger: context.ledger)
        } else {
            return nil
        }
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        return context.admission.finish(refused, to: head)
    }

    private func behind(_ tenant: String) -> CommitRefusal? {
        context.daemon.isStoreBehind() ? context.admission.refusalWhileBehind(tenant: tenant) : nil
    }

    /// The answer to a body that outgrew the memory there is, or to a request that finds the daemon closed.
    package func busy(_ head: Request, listener: ListenerRole) -> Response {
        let dialect = match(head, listener).route?.dialect ?? .plain
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        let refused = dialect.limited(.memory(.memory), for: head, ledger: context.ledger)
        return context.admission.finish(refused, to: head)
    }

    /// The answer to a query when there are too many.
    package func tooManyQueries(_ request: Request, listener: ListenerRole) -> Response {
        let dialect = match(request, listener).route?.dialect ?? .plain
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        context.ledger.requestsRejected.add(1, .queries)
        var response = dialect.failure(503, "as many queries run and wait as may; try again later", for: request)
        response.headers.append(("retry-after", "1"))
        return withoutBody(response, for: request)
    }

    /// The answer to a body beyond ``MemoryBudget/bodyBytes``; the listener closes the connection after it.
    package func tooLarge(_ head: Request, listener: ListenerRole) -> Response {
        let dialect = match(head, listener).route?.dialect ?? .plain
        context.ledger.requestsReceived.add(1, ordering: .relaxed)
        return dialect.tooLarge(limit: context.admission.budget.bodyBytes, for: head, ledger: context.ledger)
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
        bound.chooseMetrics()
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
        if route.isIngest { return ingest(call, route, tenant: bound.tenant, reply) }
        switch route.handler {
        case .now(let handle): reply(withoutBody(handle(call), for: request))
        case .later(let handle): handle(call, reply)
        }
    }

    private func ingest(
        _ call: Call, _ route: Route, tenant: String, _ reply: @escaping @Sendable (Response) -> Void
    ) {
        let admission = context.admission
        let request = call.request
        let sender = admission.note(request, tenant: tenant, source: limitedSource(of: request))
        let finish: @Sendable (Response) -> Void = { response in
            sender.note(response)
            reply(admission.finish(response, to: request))
        }
        if let refusal = admission.refusal(of: request, from: sender) {
            return finish(route.dialect.limited(refusal, for: request, ledger: context.ledger))
        }
        var call = call
        call.context.sender = sender
        switch route.handler {
        case .now(let handle): finish(handle(call))
        case .later(let handle): handle(call, finish)
        }
    }

    /// The address whose rate counts: that of a request for which no token is needed.
    private func limitedSource(of request: Request) -> SourceKey? {
        context.access.needsTokens ? nil : request.peer?.source
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
        if refusal == .unknownToken, let wait = context.admission.failedToken(from: request.peer) {
            return dialect.limited(.failedTokens(seconds: wait), for: request, ledger: context.ledger)
        }
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
