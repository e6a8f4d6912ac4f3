internal import Synchronization

/// What becomes of series that were quiet for long, on the cumulative side.
extension MetricsStore {
    /// Series that were quiet for long enough to give their numbers away; empty while there are too few to bother.
    mutating func takeRetired() -> [UInt32] { expiry.takeRetired(second: nowSecond) }

    /// The key under which the value of a series is remembered.
    func rememberedKey(_ entry: SeriesRegistry.Series) -> RememberedTotals.Key {
        remembered.key(family: entry.family, labels: entry.labels)
    }

    /// A series without a value goes on from the one that is remembered of it.
    mutating func resume(_ index: Int) {
        guard remembered.count > 0, let total = remembered.take(rememberedKey(series[index])) else { return }
        values[index] = total.value
        starts[index] = total.start
        recordResumed(index)
        rates.reset(UInt32(truncatingIfNeeded: index), to: total.value)
    }

    /// Removes series that are there, but for the values of counters and gauges. Their texts must still be there.
    mutating func remove(_ ids: [UInt32]) {
        forgetRecorded(ids)
        targets.remove(ids)
        let removed = Set(ids)
        var touched: Set<UInt32> = []
        for id in ids {
            let index = Int(id)
            let entry = series[index]
            guard !entry.isRemoved else { continue }
            touched.insert(entry.family)
            switch families[Int(entry.family)].kind {
            case .counter, .gauge:
                let total = RememberedTotals.Total(
                    value: values[index], start: starts[index], lastUpdate: expiry.lastUpdate(index))
                remembered.remember(total, for: rememberedKey(entry))
            case .histogram, .distinct: break
            }
            series[index] = entry.vacancy
            values[index] = 0
            hasValue[index] = false
            starts[index] = 0
            rates.reset(id, to: 0)
            histograms[id] = nil
            forgetRemainder(id)
            forgetMembers(id)
            exemplars.forget(id)
            expiry.remove(id)
        }
        for family in touched { members[Int(family)].removeAll(where: removed.contains) }
    }

    /// Sets when series were last updated, from a checkpoint, after their values.
    mutating func restoreLastUpdates(_ seconds: [Int64], from base: Int) {
        for (offset, second) in seconds.enumerated() where base + offset < series.count {
            expiry.restoreLastUpdate(second, of: base + offset)
        }
    }

    var expiryCounts: ExpiryCounts {
        ExpiryCounts(
            expired: expiry.expired, returned: expiry.returned, removed: expiry.removedCount,
            remembered: remembered.count, forgotten: remembered.forgotten)
    }
}

extension MetricsEngine {
    /// What became of series that were quiet for long.
    package var expiryCounts: ExpiryCounts { store.withLock { $0.expiryCounts } }

    /// The batch of series whose keys every shard has dropped; whoever takes it ends it with ``remove(_:besides:)``.
    ///
    /// Ask before the closed seconds are taken: what a shard or an OTLP request wrote while it knew the old numbers
    /// was handed over before.
    func finishedBatch() -> RetiredBatch? {
        guard let batch = shards.withLock({ $0.finishedBatch() }) else { return nil }
        // A request under way may have found a series before it was watched: wait until it has handed over.
        streams.withLock { _ in }
        return batch
    }

    /// Ends a batch: removes the series of it that nobody has found again, and watches the others on.
    /// - Parameter windows: closed seconds that are taken and not merged yet.
    /// - Returns: the removed ones, ascending.
    func remove(_ batch: RetiredBatch, besides windows: [ClosedWindow]) -> [UInt32] {
        let named = batch.named(in: windows)
        // A point of a stream must not see the series gone and its value not yet remembered.
        return streams.withLock { streams in
            let removed = store.withLock { store in
                let candidates = store.expiry.retired(of: batch.ids).filter { !named.contains($0) }
                // One hold of the lock: whoever registers a series finds it before, which keeps it, or not at all.
                let removed = registry.withLock { registry in
                    let removed = registry.endRetiring(candidates)
                    store.remove(removed)
                    registry.remove(removed)
                    return removed
                }
                for id in batch.ids { store.expiry.keep(id) }
                return removed
            }
            streams.forget(removed)
            return removed
        }
    }

    /// Begins the next batch when none is under way.
    func retireNext() {
        guard shards.withLock({ $0.isIdle }) else { return }
        let retired = store.withLock { $0.takeRetired() }
        guard !retired.isEmpty else { return }
        // The registry watches before any shard drops a key.
        registry.withLock { $0.retire(retired) }
        shards.withLock { $0.request(retired) }
    }
}
