internal import Synchronization
package import Telemetry

/// Samples to series to seconds to totals: what stands between the metric decoders and a scrape.
///
///     receive thread -> MetricsShard (its own) -> ring of closed seconds -> MetricsEngine -> scrapes, queries
///
/// Four locks, taken in this order: that of removal, taken by ``advance`` and the log; the OTLP streams', taken by
/// ``apply(_:nowNanoseconds:startedNanoseconds:)``; the store's, taken by ``advance``, scrapes and queries; the
/// registry's, taken when a key is seen for the first time. A receiver that knows its keys takes none.
package final class MetricsEngine: Sendable {
    let registry: Mutex<SeriesRegistry>
    /// The last points of cumulative OTLP streams. Taken before the store's lock, never inside of it.
    let streams = Mutex(PointStreams())
    /// The changes of OTLP requests that no one has taken over yet.
    let pointWindows = Mutex<[ClosedWindow]>([])
    let store: Mutex<MetricsStore>
    /// What waits for the log; see `MetricsLogging.swift`.
    let logging = Mutex(LogQueue())
    let isHeld = Atomic<Bool>(false)
    private let tally: LineTally
    let shards = Mutex(ShardLinks())
    /// Held by whoever takes closed seconds over and removes series.
    let removal = Mutex<Void>(())
    private let memberHash = KeyedHash.random()
    private let sketches: SketchBudget

    package init(
        limits: SeriesLimits = SeriesLimits(), expiry: ExpiryPolicy = ExpiryPolicy(), tally: LineTally = LineTally(),
        distinctSketches: Int = Limits.distinctSketches
    ) {
        self.tally = tally
        store = Mutex(MetricsStore(expiry: expiry))
        sketches = SketchBudget(limit: distinctSketches)
        registry = Mutex(SeriesRegistry(limits: limits))
    }

    /// How many series there may be.
    package var limits: SeriesLimits { registry.withLock { $0.limits } }

    /// Other numbers of series from now on; the lists of labels stay.
    package func setLimits(_ limits: SeriesLimits) { registry.withLock { $0.setLimits(limits) } }

    /// Other times of expiry from now on, for all series.
    package func setExpiry(_ policy: ExpiryPolicy) { store.withLock { $0.expiry.setPolicy(policy) } }

    /// A new shard; give each receive thread one of its own.
    /// - Parameters:
    ///   - keyCapacity: keys as received that the shard remembers before it starts anew.
    ///   - countsLines: false when what it records are no lines, which a crash would be said to have lost.
    package func makeShard(keyCapacity: Int = 1 << 20, countsLines: Bool = true) -> MetricsShard {
        let link = shards.withLock { $0.makeLink() }
        return MetricsShard(
            link: link, memberHash: memberHash, sketches: sketches, keyCapacity: keyCapacity,
            tally: countsLines ? tally : nil)
    }

    /// HyperLogLog sketches alive, and members that sets did not take because there were too many of them.
    package var distinctSketches: Int { sketches.alive }
    package var untakenMembers: UInt64 { sketches.untakenMembers }

    /// The series of an identity as sent, made on first sight; the overflow series of its family beyond the limits.
    /// - Parameters:
    ///   - name: valid UTF-8, as sent.
    ///   - labels: as sent; sanitised, sorted and made unique here.
    package func register(name: [UInt8], labels: [MetricLabel], kind: MetricKind) -> SeriesRegistration {
        register(MetricIdentity(name: name, labels: labels, kind: kind))
    }

    /// The series of an identity as rules have left it, and the counter that a rule puts beside it.
    package func register(_ identity: MetricIdentity) -> SeriesRegistration {
        registry.withLock { $0.register(identity) }
    }

    /// What ``register(_:)`` would do, without doing it.
    package func preview(_ identity: MetricIdentity) -> SeriesPreview {
        registry.withLock { $0.preview(identity) }
    }

    package var seriesCounts: SeriesCounts { registry.withLock { $0.counts } }

    /// Takes all closed seconds over, as scrapes and queries do too, and removes series that were quiet for long. Call
    /// once a second. With a log, only the log does both.
    /// - Parameter nowNanoseconds: Unix time.
    package func advance(nowNanoseconds: Int64) {
        guard !isHeld.load(ordering: .acquiring) else { return withStore(nowNanoseconds: nowNanoseconds) { _ in } }
        removal.withLock { _ in
            let finished = finishedBatch()
            withStore(nowNanoseconds: nowNanoseconds) { _ in }
            if let finished { _ = remove(finished, besides: []) }
            retireNext()
        }
    }

    /// Runs `body` on the totals as of now, with the store's lock held.
    func withStore<Result>(
        nowNanoseconds: Int64, _ body: (inout MetricsStore) -> sending Result
    ) -> sending Result {
        store.withLock { store in
            let second = nowNanoseconds / 1_000_000_000
            store.setNow(second)
            registry.withLock { $0.setNow(second) }
            if !isHeld.load(ordering: .acquiring) {
                // Windows first: whatever series they name was registered before they were closed.
                let windows = takeWindows()
                adoptRegistered(&store)
                for window in windows { store.merge(window) }
            }
            store.advance()
            return body(&store)
        }
    }

    /// All closed seconds, oldest first.
    func takeWindows() -> [ClosedWindow] {
        var windows = pointWindows.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        windows += shards.withLock { $0.takeWindows() }
        windows.sort { $0.second < $1.second }
        return windows
    }

    /// Copies what the registry has learnt since the last call.
    func adoptRegistered(_ store: inout MetricsStore) {
        store.adopt(takeNews(since: (store.familyCount, store.seriesCount)))
    }

    /// What the registry has learnt since it had `known`. Every number that was given out anew is handed out once. The
    /// news have storage of their own: the registry goes on writing into its arrays while they are read.
    func takeNews(since known: (families: Int, series: Int)) -> SeriesNews {
        registry.withLock { registry in
            SeriesNews(
                families: registry.families[known.families...].map { $0 },
                keyNames: registry.keyNames[known.families...].map { $0 },
                series: registry.series[known.series...].map { $0 },
                reused: registry.takeReused().map { ($0, registry.series[Int($0)]) },
                lifetimes: registry.takeLifetimes())
        }
    }

    /// Seconds of live histograms that were dropped for want of memory.
    package var evictedLiveWindows: UInt64 { store.withLock { $0.live.evicted } }

    /// Exemplars held, and those that found no room.
    package var exemplarCounts: (held: Int, dropped: UInt64) {
        store.withLock { ($0.exemplars.count, $0.exemplars.dropped) }
    }
}
