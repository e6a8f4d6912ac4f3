internal import NIOCore
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// What all connections of a gRPC server share: the counters, the drain mark, and the body budget of the HTTP server.
final class GRPCShared: Sendable {
    let limits: GRPCLimits
    private let http: HTTPShared
    let open = Atomic<Int>(0)
    let calls = Atomic<Int>(0)
    private let accepted = Atomic<UInt64>(0)
    private let refused = Atomic<UInt64>(0)
    private let cancelled = Atomic<UInt64>(0)
    private let refusedStreams = Atomic<UInt64>(0)
    private let answered = RPCCode.allCases.map { _ in Counter() }
    private let breaches = ReasonCounters<GRPCBreach>()
    let gate: AddressGate
    private let draining = Atomic<Bool>(false)

    private final class Counter: Sendable {
        let value = Atomic<UInt64>(0)
    }

    init(limits: GRPCLimits, http: HTTPShared) {
        self.limits = limits
        self.http = http
        gate = AddressGate(connections: limits.connectionsPerAddress, wasted: limits.wastedCalls)
    }

    /// The body budget, which calls and HTTP requests have in common.
    func reserve(_ count: Int) -> Bool { http.reserve(count) }
    func release(_ count: Int) { http.release(count) }

    var drains: Bool { draining.load(ordering: .relaxed) }
    func startDrain() { draining.store(true, ordering: .relaxed) }

    /// Counts a connection in; false when there are enough already, in all or of its address.
    func admit(_ channel: any Channel) -> Bool {
        guard gate.admits(channel) else {
            refused.add(1, ordering: .relaxed)
            return false
        }
        if open.add(1, ordering: .relaxed).newValue <= limits.connections {
            accepted.add(1, ordering: .relaxed)
            return true
        }
        open.subtract(1, ordering: .relaxed)
        refused.add(1, ordering: .relaxed)
        return false
    }

    func count(_ code: RPCCode) {
        for (index, candidate) in RPCCode.allCases.enumerated() where candidate == code {
            answered[index].value.add(1, ordering: .relaxed)
        }
    }

    func countRefusedStream() { refusedStreams.add(1, ordering: .relaxed) }
    func countCancelled() { cancelled.add(1, ordering: .relaxed) }
    func count(_ breach: GRPCBreach) { breaches.add(1, breach) }

    var counts: GRPCCounts {
        var counts = GRPCCounts()
        counts.open = open.load(ordering: .relaxed)
        counts.accepted = accepted.load(ordering: .relaxed)
        counts.refused = refused.load(ordering: .relaxed)
        counts.refusedStreams = refusedStreams.load(ordering: .relaxed)
        counts.cancelled = cancelled.load(ordering: .relaxed)
        counts.calls = zip(RPCCode.allCases, answered).map { ($0.rawValue, $1.value.load(ordering: .relaxed)) }
        counts.closed = breaches.counts.map { ($0.reason, $0.count) }
        return counts
    }
}
