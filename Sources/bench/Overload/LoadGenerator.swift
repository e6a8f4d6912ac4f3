internal import Glibc

/// Requests of one kind: what is sent, over how many connections, and what the client does when it is refused.
struct LoadSource {
    var templates: RequestTemplates
    var connections: Int
    /// Waits as long as Retry-After says and sends the same request again, as OTLP exporters do. Else the next
    /// request goes out as soon as it is due: the worst client.
    var isPatient = false
}

/// An open-loop sender on the calling thread: requests are due by a fixed schedule whether the server keeps up or
/// not, and latencies count from the moment at which a request was due. A request that finds every connection of its
/// source busy is dropped by the client, and counted.
final class LoadGenerator {
    let port: UInt16
    /// Seconds after which a client no longer waits for an answer.
    let patience = 10.0
    private let sources: [LoadSource]
    private(set) var connections: [LoadConnection] = []
    /// What is waited for on each connection, by its number.
    private var polled: [pollfd] = []
    /// Numbers of free connections, by source.
    private var free: [[Int]]
    private var nextNumber: [Int]
    var outcomes: [LoadOutcome] = []
    private var start = 0.0
    private var isOver = false
    private var schedule = Schedule(start: 0, rates: [], due: [])
    private var pausing: [Int] = []
    private var lastLook = 0.0

    private struct Schedule {
        var start: Double
        var rates: [Double]
        /// How many requests of each source have been due.
        var due: [Int]
    }

    /// - Parameter connectionsPerAddress: 127.0.0.2, 127.0.0.3 ... are used in turn, because servers limit an address.
    init(port: UInt16, sources: [LoadSource], connectionsPerAddress: Int = 48) throws {
        self.port = port
        self.sources = sources
        free = sources.map { _ in [] }
        nextNumber = sources.map { _ in 0 }
        for (source, value) in sources.enumerated() {
            for _ in 0..<value.connections {
                let index = connections.count
                let address = 0x7F00_0002 + UInt32(index / connectionsPerAddress)
                connections.append(LoadConnection(source: source, index: index, address: address))
                polled.append(pollfd(fd: -1, events: 0, revents: 0))
                open(connections[index])
            }
        }
    }

    /// Waits until all connections are there.
    func connect(within seconds: Double = 20) throws {
        let deadline = now() + seconds
        while free.reduce(0, { $0 + $1.count }) < connections.count {
            guard now() < deadline else { throw CallFailure(call: "connections to port \(port)") }
            turn(timeout: 5)
        }
    }

    func close() {
        for connection in connections { shut(connection) }
    }

    /// So long, requests are due so often.
    struct Phase {
        var seconds: Double
        /// Requests a second of each source; infinite: as fast as connections become free.
        var rates: [Double]
    }

    /// Sends for so many seconds, then waits for the answers to what is under way.
    /// - Parameter settle: seconds to wait at most for late answers, which count as accepted, but not as goodput.
    func run(_ phases: [Phase], settle: Double = 10) -> [LoadOutcome] {
        let end = phases.reduce(0) { $0 + $1.seconds }
        outcomes = sources.indices.map { LoadOutcome(firstNumber: nextNumber[$0], seconds: end) }
        isOver = false
        start = now()
        var phaseStart = 0.0
        for phase in phases {
            schedule = Schedule(start: start + phaseStart, rates: phase.rates, due: sources.map { _ in 0 })
            phaseStart += phase.seconds
            while now() - start < phaseStart {
                for source in sources.indices { offer(source) }
                turn(timeout: pause())
            }
        }
        isOver = true
        while now() - start < end + settle, isUnderway { turn(timeout: 1) }
        for connection in connections { if case .busy = connection.state { fail(connection) } }
        return outcomes
    }

    private func turn(timeout: Int32) {
        wakeUp()
        takeEvents(timeout: timeout)
        giveUp()
    }

    private var isUnderway: Bool {
        connections.contains { connection in
            switch connection.state {
            case .busy, .pausing: true
            case .connecting, .free, .closed: false
            }
        }
    }

    /// Milliseconds until the next request is due; zero below two: then the loop spins.
    private func pause() -> Int32 {
        var soonest = 0.02
        for (source, rate) in schedule.rates.enumerated() where rate.isFinite && rate > 0 {
            soonest = min(soonest, Double(schedule.due[source]) / rate + schedule.start - now())
        }
        return schedule.rates.contains(.infinity) ? 1 : max(0, Int32(soonest * 1e3) - 1)
    }

    /// Sends what is due.
    private func offer(_ source: Int) {
        let rate = schedule.rates[source]
        guard rate > 0 else { return }
        guard rate.isFinite else {
            while let index = free[source].popLast() { send(connections[index], due: now()) }
            return
        }
        let before = schedule.due[source]
        let due = Int((now() - schedule.start) * rate) + 1
        for next in before..<max(before, due) {
            guard let index = free[source].popLast() else {
                outcomes[source].unsent += due - next
                break
            }
            let moment = schedule.start + Double(next) / rate
            outcomes[source].latestSend = max(outcomes[source].latestSend, now() - moment)
            send(connections[index], due: moment)
        }
        outcomes[source].offered += max(0, due - before)
        schedule.due[source] = max(before, due)
    }

    private func send(_ connection: LoadConnection, due: Double) {
        connection.number = nextNumber[connection.source]
        nextNumber[connection.source] += 1
        connection.due = due
        outcomes[connection.source].results.append(.open)
        outcomes[connection.source].sent += 1
        transmit(connection)
    }

    private func transmit(_ connection: LoadConnection) {
        connection.state = .busy
        connection.sentAt = now()
        outcomes[connection.source].countSent(at: connection.sentAt - start)
        let isAlive = sources[connection.source].templates.withMessage(connection.number) { connection.start($0) }
        if !isAlive { return fail(connection) }
        if connection.isSending { watch(connection, output: true) }
    }

    // MARK: Events

    private func takeEvents(timeout: Int32) {
        guard Glibc.poll(&polled, UInt(polled.count), timeout) > 0 else { return }
        for index in polled.indices where polled[index].revents != 0 {
            let events = Int32(polled[index].revents)
            if events & POLLOUT != 0 { becameWritable(connections[index]) }
            // What became writable may have been closed.
            if events & ~POLLOUT != 0, polled[index].fd >= 0 { becameReadable(connections[index]) }
        }
    }

    private func becameWritable(_ connection: LoadConnection) {
        if case .connecting = connection.state {
            watch(connection, output: false)
            return release(connection)
        }
        guard connection.isSending else { return watch(connection, output: false) }
        guard connection.goOn() else { return fail(connection) }
        guard !connection.isSending else { return }
        watch(connection, output: false)
        if connection.isAnswered { release(connection) }
    }

    private func becameReadable(_ connection: LoadConnection) {
        switch connection.readReply() {
        case .more: break
        case .broken: fail(connection)
        case .reply(let reply): take(reply, connection)
        }
    }

    private func take(_ reply: LoadReply, _ connection: LoadConnection) {
        guard case .busy = connection.state, !connection.isAnswered else { return fail(connection) }
        let source = sources[connection.source]
        let moment = now()
        let spans = source.templates.spans(of: connection.number) - reply.rejectedSpans
        outcomes[connection.source].count(
            reply, number: connection.number, spans: isOver ? 0 : spans, latency: (moment - connection.due) * 1e3,
            at: moment - start)
        if source.isPatient, reply.status == 503 || reply.status == 429 {
            connection.pausesUntil = moment + (reply.retryAfter ?? 1)
        }
        if reply.closes {
            reopen(connection)
        } else if connection.isSending {
            // The server drops the rest of the body; it has to come nevertheless.
            connection.isAnswered = true
        } else {
            release(connection)
        }
    }

    // MARK: Connections

    /// The connection is open and has nothing under way.
    private func release(_ connection: LoadConnection) {
        connection.forget()
        if connection.pausesUntil != nil {
            connection.state = .pausing
            pausing.append(connection.index)
        } else {
            connection.state = .free
            free[connection.source].append(connection.index)
        }
    }

    private func wakeUp() {
        guard !pausing.isEmpty else { return }
        let moment = now()
        let due = pausing.filter { connections[$0].pausesUntil.map { $0 <= moment } ?? true }
        guard !due.isEmpty else { return }
        pausing.removeAll { due.contains($0) }
        for index in due {
            let connection = connections[index]
            connection.pausesUntil = nil
            guard case .pausing = connection.state else { continue }
            outcomes[connection.source].repeated += 1
            transmit(connection)
        }
    }

    /// Twenty times a second: requests that nobody waits for any longer, connections to be made again.
    private func giveUp() {
        let moment = now()
        guard moment - lastLook > 0.05 else { return }
        lastLook = moment
        for connection in connections {
            switch connection.state {
            case .busy where moment - connection.sentAt > patience:
                outcomes[connection.source].timedOut += 1
                fail(connection)
            case .closed: open(connection)
            case .busy, .connecting, .free, .pausing: break
            }
        }
    }

    /// The connection ended; what was under way on it is lost to the client.
    private func fail(_ connection: LoadConnection) {
        switch connection.state {
        case .busy:
            if !connection.isAnswered { outcomes[connection.source].lose(connection.number) }
        case .free: free[connection.source].removeAll { $0 == connection.index }
        case .pausing: pausing.removeAll { $0 == connection.index }
        case .connecting, .closed: break
        }
        connection.pausesUntil = nil
        shut(connection)
    }

    private func reopen(_ connection: LoadConnection) {
        shut(connection)
        open(connection)
    }

    private func shut(_ connection: LoadConnection) {
        connection.forget()
        if connection.descriptor >= 0 { _ = Glibc.close(connection.descriptor) }
        connection.descriptor = -1
        connection.state = .closed
        polled[connection.index].fd = -1
    }

    private func open(_ connection: LoadConnection) {
        guard let socket = try? LoopbackSocket(connecting: port, from: connection.address) else { return }
        connection.descriptor = socket.descriptor
        connection.state = .connecting
        polled[connection.index] = pollfd(fd: socket.descriptor, events: Int16(POLLIN | POLLOUT), revents: 0)
    }

    private func watch(_ connection: LoadConnection, output: Bool) {
        polled[connection.index].events = Int16(output ? POLLIN | POLLOUT : POLLIN)
    }
}
