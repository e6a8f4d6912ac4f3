internal import Synchronization

/// Series whose ids are to be given to others, once no shard can write to them any more.
///
/// An id is safe to give away when every shard has dropped the keys it had bound to it and has handed over the second
/// that was open then. Until all have said so the old series stays in the registry: a line of it finds it again, under
/// the same id, and it is taken out of the batch.
final class RetiredBatch: Sendable {
    /// Batches are numbered from one; one at a time.
    let number: UInt64
    let ids: [UInt32]
    private let bits: [UInt64]

    init(number: UInt64, ids: [UInt32]) {
        self.number = number
        self.ids = ids
        var bits = [UInt64](repeating: 0, count: Int(ids.max() ?? 0) / 64 + 1)
        for id in ids { bits[Int(id) / 64] |= 1 << UInt64(id % 64) }
        self.bits = bits
    }

    @inline(__always)
    func contains(_ id: UInt32) -> Bool {
        let word = Int(id) / 64
        return word < bits.count && bits[word] & 1 << UInt64(id % 64) != 0
    }

    /// The series of the batch that any of these seconds names.
    func named(in windows: [ClosedWindow]) -> Set<UInt32> {
        var named: Set<UInt32> = []
        for window in windows {
            for change in window.scalars where contains(change.series) { named.insert(change.series) }
            for part in window.histograms.parts where contains(part.series) { named.insert(part.series) }
            for set in window.sets where contains(set.series) { named.insert(set.series) }
        }
        return named
    }
}

/// What one shard and the engine share: the ring of closed seconds, and the batch of ids to be dropped.
final class ShardLink: Sendable {
    let queue = WindowQueue()
    private let batch = Mutex<RetiredBatch?>(nil)
    private let requested: Atomic<UInt64>
    private let dropped: Atomic<UInt64>
    private let isClosed = Atomic<Bool>(false)

    /// - Parameter number: of the last batch before this shard, which has no keys yet.
    init(number: UInt64) {
        requested = Atomic(number)
        dropped = Atomic(number)
    }

    // MARK: The engine's side

    func request(_ batch: RetiredBatch) {
        self.batch.withLock { $0 = batch }
        requested.store(batch.number, ordering: .releasing)
    }

    /// Whether no key of the batch is left. What the shard closed before is then in the ring.
    func hasDropped(_ number: UInt64) -> Bool {
        isGone || dropped.load(ordering: .acquiring) >= number
    }

    /// The shard does not exist any more; what it handed over may still be in the ring.
    var isGone: Bool { isClosed.load(ordering: .acquiring) }

    // MARK: The shard's side

    @inline(__always)
    var isRequestOpen: Bool { requested.load(ordering: .relaxed) != dropped.load(ordering: .relaxed) }

    func takeBatch() -> RetiredBatch? { batch.withLock { $0 } }

    func confirm(_ batch: RetiredBatch) {
        self.batch.withLock { $0 = nil }
        dropped.store(batch.number, ordering: .releasing)
    }

    func close() { isClosed.store(true, ordering: .releasing) }
}

/// All shards, as the engine sees them.
struct ShardLinks {
    private var links: [ShardLink] = []
    private var batch: RetiredBatch?
    private var number: UInt64 = 0

    mutating func makeLink() -> ShardLink {
        let link = ShardLink(number: number)
        links.append(link)
        return link
    }

    /// Everything that was handed over. Shards that are gone and empty are forgotten.
    mutating func takeWindows() -> [ClosedWindow] {
        var windows: [ClosedWindow] = []
        links.removeAll { link in
            let isGone = link.isGone
            while let window = link.queue.pop() { windows.append(window) }
            return isGone
        }
        return windows
    }

    var isIdle: Bool { batch == nil }

    mutating func request(_ ids: [UInt32]) {
        number += 1
        let batch = RetiredBatch(number: number, ids: ids)
        self.batch = batch
        for link in links { link.request(batch) }
    }

    /// The batch under way, once, when every shard has dropped its keys.
    mutating func finishedBatch() -> RetiredBatch? {
        guard let batch, links.allSatisfy({ $0.hasDropped(batch.number) }) else { return nil }
        self.batch = nil
        return batch
    }
}

/// A shard's work on a batch: it looks through its key cache a piece at a time, so that no tick takes long.
struct KeyDropping {
    /// Cache entries looked at per tick: about 0.1 ms.
    private static let piece = 1 << 16

    private var batch: RetiredBatch?
    private var position = 0
    private var rebuilds: UInt64 = 0

    /// Does one piece of the work. Call between lines only.
    /// - Parameters:
    ///   - isOpen: whether the shard holds a second that it has not handed over.
    ///   - counter: the series that counts the observations of a series, or ``KeyCache/noSeries``: keys of a
    ///     histogram go with their counter too, as they write to both.
    @inline(never)
    mutating func proceed(
        _ keys: inout KeyCache, link: ShardLink, isOpen: Bool, counter: (_ series: UInt32) -> UInt32
    ) {
        if batch == nil {
            batch = link.takeBatch()
            position = 0
            rebuilds = keys.rebuilds
        }
        guard let batch else { return }
        if rebuilds != keys.rebuilds {
            // Entries have moved: begin anew.
            position = 0
            rebuilds = keys.rebuilds
        }
        if position < keys.slotCount {
            position = keys.forget(from: position, slots: Self.piece) { series in
                batch.contains(series) || batch.contains(counter(series))
            }
        }
        // A second that was opened while keys of the batch were known may name its ids.
        if position >= keys.slotCount, !isOpen {
            link.confirm(batch)
            self.batch = nil
        }
    }
}
