internal import Endpoints
internal import NIOCore
internal import Synchronization

/// What all connections of a server share: the memory budget, the counters, the drain mark.
final class HTTPShared: Sendable {
    let limits: HTTPLimits
    let openConnections = Atomic<Int>(0)
    let connectionsAccepted = Atomic<UInt64>(0)
    let connectionsRefused = Atomic<UInt64>(0)
    let budget: MemoryBudget
    /// Queries that run and wait.
    let queries = Atomic<Int>(0)
    private let gate: AddressGate
    private let draining = Atomic<Bool>(false)

    /// - Parameter budget: nil: one of the limits' own.
    init(limits: HTTPLimits, budget: MemoryBudget?) {
        self.limits = limits
        gate = AddressGate(connections: limits.connectionsPerAddress)
        self.budget =
            budget ?? MemoryBudget(limitBytes: limits.bodyBytesInFlight, requestBytes: limits.bodyBytesInFlight)
    }

    /// True from the start of the drain on: every response closes its connection.
    var drains: Bool { draining.load(ordering: .relaxed) }
    func startDrain() { draining.store(true, ordering: .relaxed) }

    /// Counts a query in; false when there are enough already.
    func enterQuery() -> Bool {
        if queries.add(1, ordering: .relaxed).newValue <= limits.queries { return true }
        leaveQuery()
        return false
    }

    func leaveQuery() { queries.subtract(1, ordering: .relaxed) }

    /// Counts a connection in; false when there are enough already, in all or of its address.
    func admit(_ channel: any Channel) -> Bool {
        guard gate.admits(channel) else {
            connectionsRefused.add(1, ordering: .relaxed)
            return false
        }
        if openConnections.add(1, ordering: .relaxed).newValue <= limits.connections {
            connectionsAccepted.add(1, ordering: .relaxed)
            return true
        }
        openConnections.subtract(1, ordering: .relaxed)
        connectionsRefused.add(1, ordering: .relaxed)
        return false
    }

    func leave() { openConnections.subtract(1, ordering: .relaxed) }
}
