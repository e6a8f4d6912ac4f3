internal import NIOCore
internal import Synchronization

/// What all connections of a server share: the body budget, the counters, the drain mark.
final class HTTPShared: Sendable {
    let limits: HTTPLimits
    let openConnections = Atomic<Int>(0)
    let connectionsAccepted = Atomic<UInt64>(0)
    let connectionsRefused = Atomic<UInt64>(0)
    let bodyBytes = Atomic<Int>(0)
    private let gate: AddressGate
    private let draining = Atomic<Bool>(false)

    init(limits: HTTPLimits) {
        self.limits = limits
        gate = AddressGate(connections: limits.connectionsPerAddress)
    }

    /// True from the start of the drain on: every response closes its connection.
    var drains: Bool { draining.load(ordering: .relaxed) }
    func startDrain() { draining.store(true, ordering: .relaxed) }

    /// Takes `count` bytes of the body budget; false when that is more than is left.
    func reserve(_ count: Int) -> Bool {
        let total = bodyBytes.add(count, ordering: .relaxed).newValue
        if total <= limits.bodyBytesInFlight { return true }
        release(count)
        return false
    }

    func release(_ count: Int) { bodyBytes.subtract(count, ordering: .relaxed) }

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
