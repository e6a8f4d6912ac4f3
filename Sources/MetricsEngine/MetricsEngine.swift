internal import Synchronization
package import Telemetry

/// Samples to series to seconds to totals: what stands between the metric decoders and a scrape.
///
///     receive thread -> MetricsShard (its own) -> ring of closed seconds -> MetricsEngine -> scrapes, queries
///
/// Three locks: the OTLP streams', taken by ``apply(_:nowNanoseconds:startedNanoseconds:)``; the registry's,
/// taken when a key is seen for the first time, and the store's, taken by ``advance``,
/// scrapes and queries. A receiver that knows its keys takes neither.
package final class MetricsEngine: Sendable {
    let registry: Mutex<SeriesRegistry>
    /// The last points of cumulative OTLP streams. Taken before the store's lock, never inside of it.
    let streams = Mutex(PointStreams())
    /// The changes of OTLP requests that no one has taken over yet.
    let pointWindows = Mutex<[ClosedWindow]>([])
    let store = Mutex(MetricsStore())
    /// What waits for the log; see `MetricsLogging.swift`.
    let logging = Mutex(LogQueue())
    let isHeld = Atomic<Bool>(false)
    private let tally: LineTally
    private let queues = Mutex<[WindowQueue]>([])
    private let memberHash = KeyedHash.random()
    private let sketches: SketchBudget

    package init(
        limits: SeriesLimits = SeriesLimits(
            series: Limits.series, seriesPerFamily: Limits.seriesPerFamily, families: 20_000),
        tally: LineTally = LineTally(), distinctSketches: Int = Limits.distinctSketches
    ) {
        self.tally = tally
        sketches = SketchBudget(limit: distinctSketches)
        registry = Mutex(SeriesRegistry(limits: limits))
    }

    /// A new shard; give each receive thread one of its own.
    /// - Parameter keyCapacity: keys as received that the shard remembers before it starts anew.
    package func makeShard(keyCapacity: Int = 1 << 20) -> MetricsShard {
        let queue = WindowQueue()
        queues.withLock { $0.append(queue) }
        return MetricsShard(
            queue: queue, memberHash: memberHash, sketches: sketches, keyCapacity: keyCapacity, tally: tally)
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

    /// Takes all closed seconds over. Call once a second; scrapes and queries call it themselves. With a log, only the
    /// log takes them over.
    /// - Parameter nowNanoseconds: Unix time.
    package func advance(nowNanoseconds: Int64) {
        withStore(nowNanoseconds: nowNanoseconds) { _ in }
    }

    /// Runs `body` on the totals as of now, with the store's lock held.
    func withStore<Result>(
        nowNanoseconds: Int64, _ body: (inout MetricsStore) -> sending Result
    ) -> sending Result {
        store.withLock { store in
            if !isHeld.load(ordering: .acquiring) {
                // Windows first: whatever series they name was registered before they were closed.
                let windows = takeWindows()
                adoptRegistered(&store)
                for window in windows { store.merge(window) }
            }
            store.advance(nowSecond: nowNanoseconds / 1_000_000_000)
            return body(&store)
        }
    }

    /// All closed seconds, oldest first.
    func takeWindows() -> [ClosedWindow] {
        var windows = pointWindows.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        queues.withLock { queues in
            for queue in queues {
                while let window = queue.pop() { windows.append(window) }
            }
        }
        windows.sort { $0.second < $1.second }
        return windows
    }

    /// Copies what the registry has learnt since the last call.
    func adoptRegistered(_ store: inout MetricsStore) {
        let known = (families: store.familyCount, series: store.seriesCount)
        let news = registry.withLock { registry in
            SeriesNews(
                families: Array(registry.families[known.families...]), series: Array(registry.series[known.series...]))
        }
        store.adopt(news)
    }

    /// Seconds of live histograms that were dropped for want of memory.
    package var evictedLiveWindows: UInt64 { store.withLock { $0.live.evicted } }

    /// Exemplars held, and those that found no room.
    package var exemplarCounts: (held: Int, dropped: UInt64) {
        store.withLock { ($0.exemplars.count, $0.exemplars.dropped) }
    }
}
