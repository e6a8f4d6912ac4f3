internal import Endpoints
internal import HostIO
internal import Listeners
internal import Telemetry

extension CrestDaemon {
    /// What the process takes whatever the limit: programs, threads, caches, series.
    private static let fixedBytes: UInt64 = 96 << 20

    /// Two fifths of what the limit leaves are for requests; the rest is for heads, queries, and what is not counted. The
    /// largest request fits whatever the limit.
    static func memoryBudget(_ configuration: Configuration, _ signal: LoadSignal) -> MemoryBudget {
        let limit = configuration.memory.bytes
        let requests = max((limit - min(limit, fixedBytes)) / 5 * 2, UInt64(Limits.bodyBytes))
        return MemoryBudget(
            limitBytes: Int(clamping: limit), requestBytes: Int(clamping: requests), signal: signal,
            probe: MemoryBudget.Probe(now: SystemClock.monotonic) { Int(clamping: HostProcess.residentBytes) })
    }

    /// Queries that run at the same time.
    static var queryThreads: Int { min(max(HostProcess.coreCount, 2), 8) }
}
