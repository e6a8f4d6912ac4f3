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
    let pace: RefusalPace

    init(eventLoop: any EventLoop, shared: HTTPShared) {
        self.eventLoop = eventLoop
        self.shared = shared
        pace = RefusalPace(limits: shared.limits)
    }

    func add(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = connection
        scheduleSweep()
    }

    func remove(_ connection: HTTPConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    /// How long an answer is to be held back; nil: not at all.
    func delay(of response: Response) -> TimeAmount? { shared.drains ? nil : pace.delay(of: response) }

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
