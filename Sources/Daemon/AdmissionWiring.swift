internal import Endpoints
internal import HostIO
internal import Listeners
internal import Telemetry

extension CrestDaemon {
    static func memoryBudget(_ configuration: Configuration, _ signal: LoadSignal) -> MemoryBudget {
        MemoryBudget(
            limitBytes: Int(clamping: configuration.memory.bytes), requestBytes: configuration.memory.shares.requests,
            bodyBytes: configuration.memory.shares.body, signal: signal,
            probe: MemoryBudget.Probe(now: SystemClock.monotonic) { Int(clamping: HostProcess.residentBytes) })
    }

    /// Queries that run at the same time.
    static var queryThreads: Int { min(max(HostProcess.coreCount, 2), 8) }
}
