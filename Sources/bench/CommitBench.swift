internal import Glibc
internal import HostIO
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// Milliseconds of each fdatasync after an append of 4 KiB, nothing else going on.
private func measureSyncs(in folder: String, seconds: Double) throws -> [Double] {
    let disk = try HostDisk(folder)
    let file = try disk.create("sync")
    let page = [UInt8](repeating: 1, count: 4_096)
    var milliseconds: [Double] = []
    let end = now() + seconds
    while now() < end {
        try file.append(page)
        let began = now()
        try file.syncData()
        milliseconds.append((now() - began) * 1e3)
    }
    file.close()
    try disk.remove("sync")
    return milliseconds
}

/// A store in this process, filled by threads that wait for each acknowledgement.
private func loadStore(
    _ durability: Durability, delay: Double?, connections: Int, seconds: Double
) throws -> ClosedLoop.Outcome {
    let folder = try temporaryFolder()
    defer { removeFolder(folder) }
    var configuration = StoreConfiguration(wallClock: wallClock)
    configuration.durability = durability
    let host = try HostDisk(folder)
    let disk: any Disk = delay.map { DelayedDisk(disk: host, seconds: $0) } ?? host
    let store = try SegmentStore.open(disk, configuration: configuration)
    let outcome = try ClosedLoop(threads: connections, seconds: seconds).run(from: 1) {
        { number in
            let body = SmallRequest.body(number)
            let batch = try body.withUnsafeBytes { bytes in
                try decodeOTLPTraces(bytes, origin: BatchOrigin(arrival: wallClock())).batch
            }
            let answer = Answer()
            store.append(batch) { answer.set($0) }
            try answer.wait()
        }
    }
    let terms = store.ledgerTerms
    guard store.close(), terms.stored == UInt64(outcome.requests * SmallRequest.spans), terms.balanced else {
        throw ReplayFailure(text: "\(outcome.requests) requests, but \(terms.stored) spans stored")
    }
    return outcome
}

/// Blocks one thread until the store answers.
private final class Answer: @unchecked Sendable {
    // At a fixed address for as long as the object; the result is written before the post and read after the wait.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let result = Mutex<Result<CommitReceipt, CommitRefusal>?>(nil)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func set(_ value: Result<CommitReceipt, CommitRefusal>) {
        result.withLock { $0 = value }
        sem_post(semaphore)
    }

    func wait() throws {
        while sem_wait(semaphore) != 0 {}
        if case .failure(let refusal) = result.withLock({ $0 }) { throw ReplayFailure(text: "\(refusal)") }
    }
}

@Sendable
func wallClock() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// crestd, loaded over keep-alive connections.
private func loadDaemon(
    durability: String, connections: Int, seconds: Double, halfOf rate: Double? = nil
) throws -> ClosedLoop.Outcome {
    let folder = try temporaryFolder()
    defer { removeFolder(folder) }
    let server = try ServerProcess(
        "crestd",
        [
            "--http", "off", "--otlp-http", "127.0.0.1:0", "--zipkin", "off", "--jaeger-http", "off",
            "--jaeger-udp", "off", "--crest-udp", "off", "--statsd", "off", "--data-dir", folder,
            "--durability", durability,
        ])
    defer { _ = server.stop() }
    let port = server.ports["otlp-http"] ?? 0
    let loop = ClosedLoop(threads: connections, seconds: seconds, requestsPerSecond: rate.map { $0 / 2 })
    return try loop.run(from: 1) {
        var connection = try HTTPConnection(port: port)
        return { number in
            let reply = try connection.exchange(
                "POST", "/v1/traces", contentType: "application/x-protobuf", body: SmallRequest.body(number))
            guard reply.status == 200 else { throw ReplayFailure(text: "status \(reply.status)") }
        }
    }
}

func runCommit(connections: Int, seconds: Double) throws {
    let delay = 0.005
    let folder = try temporaryFolder()
    let syncs = try measureSyncs(in: folder, seconds: min(seconds, 2))
    removeFolder(folder)
    let syncRate = 1e3 / (syncs.reduce(0, +) / Double(max(1, syncs.count)))
    progress("fdatasync: \(Int(syncRate)) a second; \(connections) connections against the store, then crestd")
    let memory = try loadStore(.memory, delay: nil, connections: connections, seconds: seconds)
    let synced = try loadStore(.synced, delay: nil, connections: connections, seconds: seconds)
    let delayed = try loadStore(.synced, delay: delay, connections: connections, seconds: seconds)
    let served = try loadDaemon(durability: "memory", connections: connections, seconds: seconds)
    let durable = try loadDaemon(durability: "synced", connections: connections, seconds: seconds)
    let half = try loadDaemon(
        durability: "synced", connections: connections, seconds: seconds, halfOf: durable.perSecond)
    let again = try temporaryFolder()
    // Before and after: the disk is seldom ours alone.
    let later = try measureSyncs(in: again, seconds: min(seconds, 2))
    let allSyncs = syncs + later
    removeFolder(again)

    var report = Report("commit")
    report.add("connections", connections)
    report.add("fdatasync_per_second", syncRate)
    report.add("fdatasync_p50_ms", percentile(allSyncs, 0.5))
    report.add("fdatasync_p99_ms", percentile(allSyncs, 0.99))
    report.add("store_memory_requests_per_second", memory.perSecond)
    report.add("store_synced_requests_per_second", synced.perSecond)
    report.add("store_synced_target", min(20 * syncRate, 0.8 * memory.perSecond))
    report.add("store_delayed_5ms_requests_per_second", delayed.perSecond)
    report.add("store_delayed_5ms_target", 20 / delay)
    report.add("crestd_memory_requests_per_second", served.perSecond)
    report.add("crestd_synced_requests_per_second", durable.perSecond)
    report.add("crestd_synced_target", min(20 * syncRate, 0.8 * served.perSecond))
    report.add("half_load_requests_per_second", half.perSecond)
    report.add("half_load_ack_p50_ms", percentile(half.milliseconds, 0.5))
    report.add("half_load_ack_p99_ms", percentile(half.milliseconds, 0.99))
    report.add("half_load_ack_p99_target_ms", 3 * percentile(allSyncs, 0.99) + 5)
    report.print()
}
