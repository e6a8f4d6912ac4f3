internal import Endpoints
internal import NIOCore

/// The connections of one event loop, for the timeouts and the drain. Belongs to that loop.
///
/// One timer a loop looks at all connections; it stands still when there are none, so an idle server does not wake.
final class HTTPConnectionTable {
    let shared: HTTPShared
    let eventLoop: any EventLoop
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private var sweep: Scheduled<Void>?
    /// Refusals since this second began.
    private var refusals = 0
    private var refusalsSince = NIODeadline.now()

    init(eventLoop: any EventLoop, shared: HTTPShared) {
        self.eventLoop = eventLoop
        self.shared = shared
    }

    func add(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = connection
        scheduleSweep()
    }

    func remove(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    /// How long an answer is to be held back; nil: not at all, which is so of all but "come again later".
    ///
    /// Who is told at once and comes again at once costs more time than there is: each refusal takes a fraction of the
    /// work of a request, and there can be hundreds for each that is taken. So only so many a second are told at once.
    func delay(of response: Response) -> TimeAmount? {
        guard response.status == 503 || response.status == 429 else { return nil }
        let now = NIODeadline.now()
        if now - refusalsSince > .seconds(1) {
            refusalsSince = now
            refusals = 0
        }
        refusals += 1
        guard refusals > shared.limits.refusalsAtOnce, !shared.drains else { return nil }
        return .milliseconds(.random(in: 1_000...3_000))
    }

    /// Closes what is idle and lets the rest finish its request.
    func drain() {
        for connection in Array(connections.values) { connection.drain() }
    }

    /// Closes everything, finished or not.
    func closeAll() {
        for connection in Array(connections.values) { connection.abandon() }
    }

    private func scheduleSweep() {
        guard sweep == nil, !connections.isEmpty else { return }
        let delay = TimeAmount(shared.limits.sweepInterval)
        sweep = eventLoop.assumeIsolated().scheduleTask(in: delay) {
            self.sweep = nil
            let now = NIODeadline.now()
            for connection in Array(self.connections.values) { connection.checkTimeout(now: now) }
            self.scheduleSweep()
        }
    }
}
