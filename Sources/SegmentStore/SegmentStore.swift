internal import Synchronization
package import Telemetry

/// The spans of a data directory: what is acknowledged is on disk, what is on disk can be read.
///
///     append -> commit queue -> committer: group -> WAL, fdatasync -> head -> completion
///                               head full -> new WAL file, head waits for sealing
///               sealer:         head -> draft, sync, verify, rename, sync folder -> manifest -> readers -> unlink WAL
///               compactor:      segments -> draft, sync, verify, rename, sync folder -> manifest -> unlink
///               retention:      manifest -> readers -> unlink segment
///
/// Validity: a WAL record counts when its group is whole, a segment when its name is there; the manifest only speeds
/// that up and keeps the ledger terms. A crash at any line therefore leaves a directory from which ``open`` finds every
/// acknowledged span once. Nothing damaged is deleted: see `Recovery`.
///
/// Threads: the committer, the sealer and the compactor are shells that call `commitStep`, `idleStep`, `sealStep` and
/// `compactStep`; tests call these themselves. Locks, outer first: `snapshotTurn`, `scrubbing`, `compaction`, `deletions`, `commits`,
/// `upkeep`, `shared`, then a head's own. `shared` is held for microseconds; the others over disk calls.
///
/// Source: schemas/disk/README.md.
package final class SegmentStore: Sendable {
    let disk: any Disk
    let configuration: StoreConfiguration
    let queue: CommitQueue
    let commits: Mutex<CommitState>
    let upkeep: Mutex<UpkeepState>
    let shared: Mutex<SharedState>
    let compaction = Mutex(CompactionState())
    let deletions = Mutex(())
    let catalog = SegmentCatalogCache()
    let segmentFiles: SegmentFileCache
    let ballast: Ballast
    let snapshotTurn = Mutex(SnapshotTurn())
    let scrubbing = Mutex(ScrubState())
    let commitSignal = Signal()
    let sealSignal = Signal()
    let compactSignal = Signal()
    /// The highest sequence whose sync has returned.
    let durableSequence: Atomic<UInt64>
    /// When the group before the one under way was taken; ``MonotonicTime``.
    let lastGroupTaken = Atomic<UInt64>(0)
    let syncTime = Atomic<UInt64>(0)
    /// The last try to seal a head failed; it is tried again later.
    let isSealFailing = Atomic<Bool>(false)
    /// How long a sync of the log takes lately, in nanoseconds; zero before the first.
    package var syncNanoseconds: UInt64 { syncTime.load(ordering: .relaxed) }
    let isStopping = Atomic<Bool>(false)
    private let threads = Mutex<[DedicatedThread]>([])
    private let ownerLock: any DiskFile
    /// 16 bytes.
    let storeID: [UInt8]
    /// What opening found.
    package let recovery: RecoveryReport

    /// Everything `Recovery` worked out; the store takes over from there.
    init(
        _ opened: consuming OpenedStore, on disk: any Disk, configuration: StoreConfiguration
    ) {
        self.disk = disk
        self.configuration = configuration
        queue = CommitQueue(byteLimit: configuration.commitQueueBytes)
        ownerLock = opened.ownerLock
        segmentFiles = opened.segmentFiles
        ballast = Ballast(disk)
        storeID = opened.commit.storeID
        recovery = opened.report
        durableSequence = Atomic(opened.commit.nextSequence &- 1)
        commits = Mutex(opened.commit)
        upkeep = Mutex(opened.upkeep)
        shared = Mutex(opened.shared)
        setRetention(configuration.retention)
        if let full = opened.shared.readOnly { queue.refuse(.readOnly(full)) }
    }

    /// Changes how long and how much is kept; the next `applyRetention` goes by it.
    package func setRetention(_ policy: RetentionPolicy) { shared.withLock { $0.retention = policy } }

    /// Opens the directory behind `disk`, or makes it; see `Recovery` for what happens after a crash.
    package static func open(
        _ disk: any Disk, configuration: StoreConfiguration
    ) throws(StoreOpenError) -> SegmentStore {
        var recovery = Recovery(disk: disk, configuration: configuration)
        let store = SegmentStore(try recovery.run(), on: disk, configuration: configuration)
        store.prepareSpace()
        if configuration.runsThreads { store.startThreads() }
        return store
    }

    private func startThreads() {
        threads.withLock { threads in
            for body in [runCommitter, runSealer, runCompactor] as [@Sendable () -> Void] {
                if let thread = DedicatedThread(body) {
                    threads.append(thread)
                } else {
                    queue.refuse(.readOnly("no thread for the store"))
                }
            }
        }
    }

    /// Hands over a batch. `completion` is called once: with a receipt when the batch is as durable as the store
    /// promises and visible to the next query, or with a refusal when nothing of it was stored. It runs on the
    /// committer's thread, or on the caller's for a refusal at once, and must not block.
    package func append(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) {
        if batch.spans.isEmpty {
            let receipt = CommitReceipt(
                sequence: durableSequence.load(ordering: .relaxed), durability: configuration.durability)
            return completion(.success(receipt))
        }
        guard let record = WALRecord(batch) else {
            return completion(.failure(.readOnly("a batch of \(batch.byteCount) bytes is too large")))
        }
        if let refusal = admission() ?? queue.append(CommitQueue.Request(record: record, completion: completion)) {
            return completion(.failure(refusal))
        }
        commitSignal.raise()
    }

    /// Whether as many heads wait for sealing as may, and the sealer is at work: what comes now should be told to come
    /// again, so that what is under way finds room in the open one. Heads that cannot be sealed at the moment are no load.
    package var isBehind: Bool {
        !isSealFailing.load(ordering: .relaxed) && shared.withLock { $0.sealing.count >= Limits.sealingHeads }
    }

    /// Refuses while as many heads wait for sealing as may and the next one is full as well.
    private func admission() -> CommitRefusal? {
        shared.withLock { shared in
            shared.sealing.count >= Limits.sealingHeads && shared.active.byteCount >= configuration.headBytes
                ? .busy(retryAfter: 2) : nil
        }
    }

    /// All parts that a query reads, a span in exactly one of them; newest first.
    package func parts() -> [StorePart] {
        shared.withLock { shared in
            let tombstones = shared.tombstones
            var parts = [StorePart(shared.active.snapshot(hiding: tombstones))]
            parts += shared.sealing.reversed().map { StorePart($0.head.snapshot(hiding: tombstones)) }
            parts += shared.segments.reversed().map { StorePart($0.reader, hiding: tombstones) }
            return parts
        }
    }

    /// Names of services seen, sorted.
    package func services(tenant: String) -> [String] {
        Set(allOperations(tenant: tenant).map(\.service)).subtracting([""]).sorted()
    }

    /// Operations of one service (of all when nil), sorted by name and kind.
    package func operations(service: String?, tenant: String) -> [Operation] {
        let found = allOperations(tenant: tenant).filter { service == nil || $0.service == service }
        return Set(found.map(\.operation)).sorted { ($0.name, $0.kind.rawValue) < ($1.name, $1.kind.rawValue) }
    }

    private func allOperations(tenant: String) -> [ServiceOperation] {
        let (heads, segments) = shared.withLock { shared in
            ([shared.active] + shared.sealing.map(\.head), shared.segments)
        }
        let ofHeads = heads.flatMap { $0.operations(tenant: tenant) }
        return catalog.operations(tenant: tenant, segments: segments)
            + ofHeads.map { ServiceOperation(service: $0.service, operation: $0.operation) }
    }

    /// Whether the record with this sequence is on disk.
    package func durable(sequence: UInt64) -> Bool {
        sequence > 0 && sequence <= durableSequence.load(ordering: .acquiring)
    }

    package var state: StoreState {
        shared.withLock { shared in
            if shared.isClosed { return .closed }
            if let reason = shared.readOnly { return .readOnly(reason) }
            if let problem = shared.problems.first { return .degraded(problem) }
            return .ok
        }
    }

    /// Takes no more, commits what waits, seals the head unless told not to, and leaves the directory in order.
    /// - Returns: true when nothing is left in memory that the disk does not have.
    @discardableResult
    package func close(sealing: Bool = true) -> Bool {
        queue.refuse(.stopping)
        isStopping.store(true, ordering: .releasing)
        commitSignal.raise()
        sealSignal.raise()
        compactSignal.raise()
        threads.withLock { threads in
            for thread in threads { thread.join() }
            threads.removeAll()
        }
        let isSafe = closeFiles(sealing: sealing)
        ownerLock.close()
        return isSafe
    }
}
