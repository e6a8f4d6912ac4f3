internal import Endpoints
internal import HostIO
internal import Listeners
internal import SegmentStore
internal import Telemetry

extension CrestDaemon {
    static func memoryBudget(
        _ configuration: Configuration, _ signal: LoadSignal, _ door: StoreDoor
    ) -> MemoryBudget {
        MemoryBudget(
            limitBytes: Int(clamping: configuration.memory.bytes), requestBytes: configuration.memory.shares.requests,
            bodyBytes: configuration.memory.shares.body, signal: signal,
            probe: MemoryBudget.Probe(
                now: SystemClock.monotonic, residentBytes: { Int(clamping: HostProcess.residentBytes) },
                syncNanoseconds: { door.store?.syncNanoseconds ?? 0 }))
    }

    /// Queries that run at the same time.
    static var queryThreads: Int { min(max(HostProcess.coreCount, 2), 8) }
}
