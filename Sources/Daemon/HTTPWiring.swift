internal import Endpoints
internal import Listeners
internal import Synchronization
internal import Telemetry

/// Joins the router with a listener: one value of it a listener.
struct HTTPWiring: Sendable {
    let router: Router
    let role: ListenerRole
    let phase: DaemonPhase

    var service: HTTPService {
        HTTPService(
            respond: { [self] in respond($0, $1, $2) },
            preempt: { [self] in phase.isReady ? router.refusal(beforeBodyOf: $0, listener: role) : closedDoor($0) },
            isBlocking: { [self] in router.work(for: $0, listener: role) == .pool },
            refuse: { [self] in refuse($0, target: $1) })
    }

    private func respond(_ request: Request, _ budget: QueryBudget, _ reply: @escaping @Sendable (Response) -> Void) {
        // A body that was let in before the stop began is taken; the store is closed when the listeners are.
        let isUnderway = phase.isStopping && !request.body.isEmpty
        if !phase.isReady, !isUnderway, let response = closedDoor(request) { return reply(response) }
        router.respond(to: request, listener: role, budget: budget, reply: reply)
    }

    /// While starting and while stopping only the questions after the daemon's state are answered.
    private func closedDoor(_ request: Request) -> Response? {
        if request.target.hasPrefix("/-/") || request.target.hasPrefix("/grpc.health.v1.Health/") { return nil }
        let ledger = router.context.ledger
        ledger.requestsReceived.add(1, ordering: .relaxed)
        ledger.requestsRejected.add(1, .busy)
        return Response(
            status: 503, headers: [("content-type", "text/plain; charset=utf-8"), ("retry-after", "1")],
            body: Array("not ready, nothing of this request was stored; try again later\n".utf8))
    }

    private func refuse(_ refusal: HTTPRefusal, target: String) -> Response {
        if case .bodyTooLarge = refusal {
            return router.tooLarge(Request(method: "POST", target: target), listener: role)
        }
        let ledger = router.context.ledger
        ledger.requestsReceived.add(1, ordering: .relaxed)
        ledger.requestsRejected.add(1, refusal.reason)
        return refusal.response
    }
}

/// Where the daemon is between its start and its end.
final class DaemonPhase: Sendable {
    enum Step: UInt8 {
        case starting
        case ready
        /// What is underway is finished, nothing new is taken.
        case stopping
    }

    private let step = Atomic<UInt8>(Step.starting.rawValue)

    var isReady: Bool { step.load(ordering: .acquiring) == Step.ready.rawValue }
    var isStopping: Bool { step.load(ordering: .acquiring) == Step.stopping.rawValue }
    func set(_ next: Step) { step.store(next.rawValue, ordering: .releasing) }
}
