internal import Synchronization
package import Telemetry

/// Why nothing was deleted.
package enum DeletionError: Error, Hashable, Sendable {
    /// A part could not be read.
    case read(ReadError)
    /// The tombstones could not be written.
    case disk(DiskError)
    /// As many deletions as may wait for compaction.
    case tooMany(limit: Int)
    case closed
}

extension SegmentStore {
    /// Deletes what is stored of the traces now: on disk before it returns, hidden from every query that starts later,
    /// gone from the segments after the next compaction. Spans that arrive later under the same ids are new.
    ///
    /// - Returns: how many of the traces were there.
    package func delete(_ traceIDs: [TraceID], tenant: String) throws(DeletionError) -> Int {
        let found = try present(traceIDs, tenant: tenant)
        guard !found.isEmpty else { return 0 }
        let failure = deletions.withLock { _ in
            // No head is handed over between the sequence and the moment at which a seal sees the tombstone.
            commits.withLock { mark(found, tenant, through: $0.nextSequence &- 1) }
        }
        if let failure { throw failure }
        unpinDeleted(found, tenant)
        configuration.log(.info, "deleted \(found.count) traces")
        compactSignal.raise()
        return found.count
    }

    private func mark(_ traceIDs: [TraceID], _ tenant: String, through sequence: UInt64) -> DeletionError? {
        var (tombstones, isClosed) = shared.withLock { ($0.tombstones, $0.isClosed) }
        if isClosed { return .closed }
        let mark = Tombstones.Mark(sequence: sequence, created: configuration.wallClock())
        for traceID in traceIDs { tombstones.marks[Tombstones.Key(tenant: tenant, traceID: traceID)] = mark }
        guard tombstones.marks.count <= Tombstones.limit else { return .tooMany(limit: Tombstones.limit) }
        do { try write(tombstones) } catch { return .disk(error) }
        shared.withLock { $0.tombstones = tombstones }
        return nil
    }

    private func present(_ traceIDs: [TraceID], tenant: String) throws(DeletionError) -> [TraceID] {
        let parts = parts()
        var found: [TraceID] = []
        for traceID in Set(traceIDs) {
            do throws(ReadError) {
                for part in parts where try part.extent(of: traceID, tenant: tenant) != nil {
                    found.append(traceID)
                    break
                }
            } catch { throw .read(error) }
        }
        return found
    }

    private func write(_ tombstones: Tombstones) throws(DiskError) {
        try replaceInNeed(StorePath.tombstones, with: tombstones.encoded(storeID: storeID))
    }

    /// Forgets tombstones that hide nothing any more, and says which segments the others are in: by segment id the
    /// time of the oldest.
    ///
    /// Nothing is forgotten while the manifest on disk is an older one: a crash would bring its segments back.
    func settleTombstones() -> [UInt64: UInt64] {
        let marks = shared.withLock { $0.tombstones.marks }
        let (isStale, segments, heads) = upkeep.withLock { state in
            let (segments, heads) = shared.withLock { ($0.segments, [$0.active] + $0.sealing.map(\.head)) }
            return (state.isManifestStale, segments, heads)
        }
        var work: [UInt64: UInt64] = [:]
        var needless: [Tombstones.Key: Tombstones.Mark] = [:]
        for (key, mark) in marks {
            let holders = segments.filter { isHidden(key, mark, in: $0) }
            for holder in holders { work[holder.entry.id] = min(work[holder.entry.id] ?? .max, mark.created) }
            let isNeeded = !holders.isEmpty || heads.contains { isHidden(key, mark, in: $0) }
            if !isNeeded, !isStale { needless[key] = mark }
        }
        if !needless.isEmpty { forget(needless) }
        return work
    }

    private func forget(_ needless: [Tombstones.Key: Tombstones.Mark]) {
        deletions.withLock { _ in
            var left = shared.withLock { $0.tombstones }
            for (key, mark) in needless where left.marks[key] == mark { left.marks[key] = nil }
            do { try write(left) } catch { return configuration.log(.warning, "\(error)") }
            shared.withLock { $0.tombstones = left }
        }
    }

    private func isHidden(_ key: Tombstones.Key, _ mark: Tombstones.Mark, in segment: StoredSegment) -> Bool {
        guard segment.entry.lastSequence <= mark.sequence else { return false }
        // What cannot be read may hold it.
        do { return try segment.reader.extent(of: key.traceID, tenant: key.tenant) != nil } catch { return true }
    }

    private func isHidden(_ key: Tombstones.Key, _ mark: Tombstones.Mark, in head: Head) -> Bool {
        let first = head.sequences.first
        return first > 0 && first <= mark.sequence && head.withIndex { $0.entry(key.traceID, key.tenant) != nil }
    }
}
