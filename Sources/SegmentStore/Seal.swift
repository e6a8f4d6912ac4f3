internal import Synchronization
internal import Telemetry

/// The sealer's steps: a full head becomes a segment.
///
/// Order, and what a crash after each line leaves: draft written and synced (removed at the next start); verified;
/// renamed and the folder synced (taken in at the next start, its WAL records are then skipped); manifest; readers;
/// WAL unlinked. Source: schemas/disk/segment.md, "Publishing".
extension SegmentStore {
    private static let retryMilliseconds = 1_000
    private static let longestRetryMilliseconds = 60_000

    /// Seals the oldest head that waits. False when none waits or it failed; a failed head stays queryable and in the
    /// WAL, and is tried again later.
    @discardableResult
    package func sealStep() -> Bool {
        upkeep.withLock { state in
            guard let sealing = shared.withLock({ $0.sealing.first }) else {
                if state.isManifestStale { writeManifest(&state) }
                removeSealedWAL(&state)
                removeUnlisted(&state)
                return false
            }
            do throws(SealError) {
                try publish(sealing, &state)
                state.failures = 0
                isSealFailing.store(false, ordering: .relaxed)
                return true
            } catch {
                state.failures += 1
                isSealFailing.store(true, ordering: .relaxed)
                if case .disk(let error) = error, error.isFull { ballast.release() }
                let wait = Self.retryMilliseconds << min(state.failures - 1, 6)
                state.retryAt = monotonicMilliseconds() + min(wait, Self.longestRetryMilliseconds)
                configuration.log(.error, "seal failed, the WAL keeps the spans: \(error)")
                return false
            }
        }
    }

    enum SealError: Error {
        case disk(DiskError)
        case segment(SegmentError)
        case spanCount(head: UInt64, segment: UInt64)
    }

    private func publish(_ sealing: SealingHead, _ state: inout UpkeepState) throws(SealError) {
        let seal = HeadSeal(
            disk: disk, compressionLevel: configuration.compressionLevel, storeID: state.manifest.storeID,
            tombstones: shared.withLock { $0.tombstones })
        let sealed = try seal.publish(sealing)
        // Opened again under its name: a reader's errors name the file that is there.
        let reader = try openPublished(sealed.path)
        take(sealing, sealed.entry, reader, &state)
        removeUnlisted(&state)
    }

    /// A segment under its final name, with a descriptor only while it is read.
    func openPublished(_ path: String) throws(SealError) -> SegmentReader {
        do { return try SegmentReader(file: segmentFiles.file(path), name: path) } catch { throw .segment(error) }
    }

    func openSegment(_ path: String) throws(SealError) -> SegmentReader {
        let file = try withDisk { () throws(DiskError) in try disk.open(path) }
        do { return try SegmentReader(file: file, name: path) } catch { throw .segment(error) }
    }

    private func withDisk<Value>(_ body: () throws(DiskError) -> Value) throws(SealError) -> Value {
        do { return try body() } catch { throw .disk(error) }
    }

    /// The segment's name is durable: from here on it counts, whatever fails.
    private func take(
        _ sealing: SealingHead, _ entry: ManifestSegment, _ reader: SegmentReader, _ state: inout UpkeepState
    ) {
        state.manifest.segments.append(entry)
        state.manifest.nextSegmentID = max(state.manifest.nextSegmentID, entry.id &+ 1)
        state.manifest.sealedSequence = max(state.manifest.sealedSequence, sealing.coveredSequence)
        state.settleLosses()
        state.manifest.removed.deleted &+= reader.summary.omittedCount
        writeManifest(&state)
        shared.withLock { shared in
            shared.sealing.removeAll { $0.segmentID == entry.id }
            shared.insert(StoredSegment(entry: entry, reader: reader))
            shared.removed.deleted &+= reader.summary.omittedCount
        }
        removeSealedWAL(&state)
    }

    /// Writes the manifest. A failure is not fatal, the directory says the same; it is tried again.
    @discardableResult
    func writeManifest(_ state: inout UpkeepState) -> Bool {
        state.manifest.edition &+= 1
        state.manifest.clockHighWater = state.clock.highWater
        state.manifest.stored = state.manifest.liveSpans &+ state.manifest.removed.total
        do {
            try replaceInNeed(StorePath.manifest, with: state.manifest.encoded())
            state.isManifestStale = false
        } catch {
            state.isManifestStale = true
            configuration.log(.error, "manifest: \(error)")
        }
        return !state.isManifestStale
    }

    /// Unlinks WAL files whose every record is sealed, oldest first and each for good before the next: an older file
    /// must not outlive the newer one that says where it ends.
    func removeSealedWAL(_ state: inout UpkeepState) {
        guard !state.isManifestStale else { return }
        let sealed = state.manifest.sealedSequence
        while true {
            let oldest = shared.withLock { $0.walFiles.first }
            guard let oldest, let last = oldest.lastSequence, last <= sealed else { return }
            do {
                do { try disk.remove(oldest.path) } catch { if !error.isMissing { throw error } }
                try disk.syncDirectory(StorePath.walDirectory)
            } catch {
                return configuration.log(.warning, "\(error)")
            }
            shared.withLock { shared in shared.walFiles.removeAll { $0.path == oldest.path } }
        }
    }

    /// Removes segments that are too old or too many, see ``RetentionPlan``. Call it every few seconds.
    /// - Parameter now: wall time, unix nanoseconds; see ``RetentionClock``.
    package func applyRetention(now: UInt64) {
        let trusted = upkeep.withLock { state in
            let trusted = state.clock.observe(now)
            let (segments, wal, retention) = shared.withLock { shared in
                (shared.segments, shared.walFiles.reduce(0) { $0 &+ $1.byteCount }, shared.retention)
            }
            let plan = retentionPlan(
                retention, segments, otherBytes: wal, trusted: trusted,
                byteLimit: lowered(retention.bytes ?? diskShare()), state)
            state.splits = plan.splits
            if !plan.victims.isEmpty { remove(plan.victims, &state) }
            if !plan.splits.isEmpty { compactSignal.raise() }
            return trusted
        }
        if let trusted { expireSnapshots(now: trusted) }
    }

    private func diskShare() -> UInt64 {
        do { return try disk.space().totalBytes / 5 * 4 } catch { return .max }
    }

    /// Manifest, readers, unlink, in this order. Nothing is removed when the manifest cannot be written.
    private func remove(_ ids: Set<UInt64>, _ state: inout UpkeepState) {
        let before = state.manifest
        let victims = before.segments.filter { ids.contains($0.id) }
        let spans = victims.reduce(0) { $0 &+ $1.spanCount }
        state.manifest.segments.removeAll { ids.contains($0.id) }
        state.manifest.removed.expired &+= spans
        guard writeManifest(&state) else {
            let edition = state.manifest.edition
            state.manifest = before
            state.manifest.edition = edition
            return
        }
        var gone = shared.withLock { shared in
            shared.removed.expired &+= spans
            return shared.removeSegments(ids)
        }
        do {
            while let victim = gone.popLast() {
                victim.reader.keepOpen()
                try disk.remove(victim.entry.path)
            }
            try disk.syncDirectory(StorePath.segmentDirectory)
        } catch {
            configuration.log(.warning, "\(error); the next start removes it")
        }
        configuration.log(.info, "expired \(victims.count) segments with \(spans) spans")
    }
}

extension UpkeepState {
    /// Moves losses below the sealed sequence into the manifest's terms.
    mutating func settleLosses() {
        for loss in pendingLosses where loss.lastSequence <= manifest.sealedSequence {
            manifest.removed.lost &+= loss.spans
        }
        pendingLosses.removeAll { $0.lastSequence <= manifest.sealedSequence }
    }
}

extension ManifestSegment {
    init(_ identity: SegmentIdentity, _ summary: SegmentSummary) {
        self.init(
            id: identity.id, firstSequence: identity.firstSequence, lastSequence: identity.lastSequence,
            spanCount: summary.spanCount, byteCount: summary.byteCount, latestArrival: summary.latestArrival,
            level: identity.level)
    }
}
