internal import Bytes
internal import Synchronization
package import Telemetry

/// Seconds that were taken for the log and are not shown yet, and the series they need.
struct LogQueue: ~Copyable {
    var windows: [ClosedWindow] = []
    var news: [SeriesNews] = []
}

/// With a log, a closed second goes first to the log and then into the totals; see schemas/disk/metrics-log.md.
///
/// Series are removed here too: after the seconds of a batch stands a record of the removed ones, whose numbers are
/// given out anew only after it.
///
/// `takeClosed`, `settle`, `forEachStateRecord` and `restore` belong to one thread.
extension MetricsEngine: MetricsLogSource {
    /// Bytes and series after which a record ends.
    private static let recordBytes = 1 << 20
    private static let recordSeries = 8_192

    /// Whether closed seconds go to a log before they are shown.
    package var isLogged: Bool { isHeld.load(ordering: .acquiring) }

    package func holdForLog() { isHeld.store(true, ordering: .releasing) }

    package func takeClosed() -> MetricsLogBatch {
        removal.withLock { _ in
            var batch = MetricsLogBatch()
            let finished = finishedBatch()
            let windows = takeWindows()
            if !windows.isEmpty {
                // After the windows: whatever series they name was registered before they were closed.
                let known = knownToLog()
                let news = takeNews(since: known)
                batch.records = Self.definitions(news, from: known)
                logging.withLock { queue in
                    queue.windows += windows
                    queue.news.append(news)
                }
            }
            for window in windows {
                batch.records.append(Self.record(of: window))
                batch.lines &+= window.lines
            }
            if let finished {
                let removed = remove(finished, besides: windows)
                if !removed.isEmpty { batch.records.append(RemovalCodec.encode(removed: removed)) }
            }
            retireNext()
            return batch
        }
    }

    /// One record, so that what a request has changed and where its streams stand cannot part.
    private static func record(of window: ClosedWindow) -> MetricsLogRecord {
        if window.streams.isEmpty { return MetricsLogRecord(kind: .second, body: WindowCodec.encode(window)) }
        return StreamCodec.encode(window)
    }

    /// The families and series that the log has: those of the totals, and those on their way there.
    private func knownToLog() -> (families: Int, series: Int) {
        var known = store.withLock { ($0.familyCount, $0.seriesCount) }
        logging.withLock { queue in
            for news in queue.news {
                known.0 += news.families.count
                known.1 += news.series.count
            }
        }
        return known
    }

    package func settle() {
        let (windows, news) = logging.withLock { queue in
            defer {
                queue.windows = []
                queue.news = []
            }
            return (queue.windows, queue.news)
        }
        guard !windows.isEmpty else { return }
        store.withLock { store in
            for news in news { store.adopt(news) }
            for window in windows { store.merge(window) }
        }
    }

    package func forEachStateRecord(_ body: (MetricsLogRecord) -> Bool) {
        var goesOn = true
        func hand(_ records: [MetricsLogRecord]) {
            for record in records where goesOn { goesOn = body(record) }
        }
        // Only this thread removes series, so their texts stay.
        var all = store.withLock { store in
            let lifetimes = store.expiry.lifetimes.map { SeriesLifetime(series: $0, seconds: $1) }
            return SeriesNews(families: store.families, series: store.series, lifetimes: lifetimes)
        }
        all.keyNames = registry.withLock { Array($0.keyNames.prefix(all.families.count)) }
        hand(Self.definitions(all, from: (0, 0)))
        var first = 0
        while goesOn, first < all.series.count {
            // In steps, so that a scrape waits for one step at most. Only this thread changes totals.
            let range = first..<min(first + Self.recordSeries, all.series.count)
            hand(store.withLock { Self.records(of: range, $0) })
            first += Self.recordSeries
        }
        if goesOn { hand(store.withLock { RemovalCodec.encode($0.remembered, chunk: Self.recordSeries) }) }
        if goesOn { hand(StreamCodec.encode(settledStreams, chunkBytes: Self.recordBytes)) }
    }

    /// The cumulative streams as far as the totals have them: requests that are not taken yet come after a checkpoint,
    /// and with them their streams.
    private var settledStreams: [PointStream] {
        streams.withLock { streams in
            let taken = logging.withLock { $0.windows.flatMap(\.streams) }
            let waiting = pointWindows.withLock { $0.flatMap(\.streams) }
            return streams.all(before: taken + waiting)
        }
    }

    private static func records(of range: Range<Int>, _ store: borrowing MetricsStore) -> [MetricsLogRecord] {
        var starts = ByteWriter()
        starts.writeVarint(UInt64(range.lowerBound))
        starts.writeVarint(UInt64(range.count))
        for index in range { starts.writeVarint(zigzagEncoded(store.starts[index])) }
        return [
            MetricsLogRecord(kind: .starts, body: starts.bytes),
            MetricsLogRecord(kind: .state, body: WindowCodec.encode(store.state(of: range))),
            RemovalCodec.encode(lastUpdates: range.map { store.expiry.lastUpdate($0) }, base: range.lowerBound),
        ]
    }

    /// The records of families and series that follow on `known`.
    private static func definitions(
        _ news: SeriesNews, from known: (families: Int, series: Int)
    ) -> [MetricsLogRecord] {
        var records: [MetricsLogRecord] = []
        if !news.families.isEmpty {
            records.append(DefinitionCodec.encode(news.families, keyNames: news.keyNames, base: known.families))
        }
        let series = news.series
        var first = 0
        while first < series.count {
            var end = first
            var bytes = 0
            while end < series.count, end - first < recordSeries, bytes < recordBytes {
                bytes += series[end].labels.count + 8
                end += 1
            }
            records.append(DefinitionCodec.encode(series[first..<end], base: known.series + first))
            first = end
        }
        if !news.reused.isEmpty { records.append(RemovalCodec.encode(reused: news.reused)) }
        if !news.lifetimes.isEmpty { records.append(RemovalCodec.encode(lifetimes: news.lifetimes)) }
        return records
    }

    package func restore(_ record: MetricsLogRecord) -> Bool {
        switch record.kind {
        case .families: return DefinitionCodec.restoreFamilies(record.body, registry)
        case .series:
            guard DefinitionCodec.restoreSeries(record.body, registry) else { return false }
            store.withLock { adoptRegistered(&$0) }
            return true
        case .second, .state:
            return store.withLock { store in
                guard let window = WindowCodec.decode(record.body, for: store) else { return false }
                store.merge(window, isState: record.kind == .state)
                return true
            }
        case .starts:
            guard let (base, seconds) = DefinitionCodec.decodeSeconds(record.body) else { return false }
            store.withLock { $0.restoreStarts(seconds, from: base) }
            return true
        case .reused:
            guard RemovalCodec.restoreReused(record.body, registry) else { return false }
            store.withLock { adoptRegistered(&$0) }
            return true
        case .removed:
            let removed = store.withLock { store -> [UInt32]? in
                guard let ids = RemovalCodec.decodeRemoved(record.body, for: store) else { return nil }
                store.remove(ids)
                registry.withLock { $0.remove(ids) }
                return ids
            }
            guard let removed else { return false }
            streams.withLock { $0.forget(removed) }
            return true
        case .updates:
            guard let (base, seconds) = DefinitionCodec.decodeSeconds(record.body) else { return false }
            store.withLock { $0.restoreLastUpdates(seconds, from: base) }
            return true
        case .remembered: return store.withLock { RemovalCodec.restoreRemembered(record.body, &$0.remembered) }
        case .points:
            let restored = store.withLock { store -> [PointStream]? in
                guard let (window, streams) = StreamCodec.decode(record.body, for: store) else { return nil }
                store.merge(window)
                return streams
            }
            return restore(restored)
        case .lifetimes:
            let count = store.withLock { $0.seriesCount }
            guard let lifetimes = RemovalCodec.decodeLifetimes(record.body, seriesCount: count) else { return false }
            registry.withLock { registry in
                for lifetime in lifetimes { registry.setLifetime(lifetime.seconds, of: lifetime.series) }
            }
            store.withLock { adoptRegistered(&$0) }
            return true
        case .streams: return restore(store.withLock { StreamCodec.decodeStreams(record.body, for: $0) })
        case .checkpointEnd: return true
        }
    }

    private func restore(_ known: [PointStream]?) -> Bool {
        guard let known else { return false }
        streams.withLock { streams in
            for stream in known { streams.restore(stream) }
        }
        return true
    }
}
