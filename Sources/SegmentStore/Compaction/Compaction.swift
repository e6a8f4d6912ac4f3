internal import Glibc
internal import Synchronization
internal import Telemetry

/// The compactor's own: touched under the `compaction` lock only.
struct CompactionState {
    /// Segments that could not be read: left alone until the next start.
    var unreadable: Set<UInt64> = []
    /// Monotonic milliseconds before which a failed merge is not tried again.
    var retryAt = 0
    /// What ``SegmentStore/settleTombstones()`` said, and when and for which segments and tombstones.
    var deletions: [UInt64: UInt64] = [:]
    var settledSegments: [UInt64] = []
    var settledMarks = 0
    var settledAt = 0
}

/// The compactor's steps: several segments become one.
///
/// Order, and what a crash after each line leaves: draft written, synced and verified (removed at the next start); the
/// manifest with the result's id spent, so that a result which no manifest lists is removed at the next start; renamed
/// and the folder synced; manifest with the result in place of its inputs: from here on it counts; readers; inputs
/// unlinked (or removed at the next start). Queries read the inputs until the swap, and those that hold a reader after.
/// Source: schemas/disk/segment.md, "Publishing".
extension SegmentStore {
    private static let retryMilliseconds = 60_000
    private static let settleMilliseconds = 30_000

    /// Merges one run of segments, or rewrites one with deleted traces. False when there was nothing to do or it
    /// failed; the inputs then stay as they are.
    @discardableResult
    package func compactStep() -> Bool {
        compaction.withLock { state in
            guard configuration.compaction.isOn else { return false }
            let now = monotonicMilliseconds()
            guard !configuration.runsThreads || now >= state.retryAt else { return false }
            settle(&state, now)
            let inputs = nextInputs(state)
            guard !inputs.isEmpty else { return false }
            do throws(MergeError) {
                try compact(inputs)
                return true
            } catch {
                note(error, inputs, &state, now)
                return false
            }
        }
    }

    private func note(_ error: MergeError, _ inputs: [StoredSegment], _ state: inout CompactionState, _ now: Int) {
        switch error {
        case .stopped: return
        case .disk(let error): configuration.log(.error, "compaction failed, the segments stay: \(error)")
        case .segment(.disk(let error)): configuration.log(.error, "compaction failed, the segments stay: \(error)")
        case .segment(let error):
            configuration.log(.error, "compaction leaves a segment alone: \(error)")
            let damaged = inputs.filter { error.description.contains($0.reader.name) }
            state.unreadable.formUnion((damaged.isEmpty ? inputs : damaged).map(\.entry.id))
        }
        state.retryAt = now + Self.retryMilliseconds
    }

    // MARK: What to do

    private func settle(_ state: inout CompactionState, _ now: Int) {
        let (ids, marks) = shared.withLock { ($0.segments.map(\.entry.id), $0.tombstones.marks.count) }
        let isSame = ids == state.settledSegments && marks == state.settledMarks
        guard marks > 0, !isSame || now - state.settledAt >= Self.settleMilliseconds else {
            if marks == 0 { state.deletions = [:] }
            return
        }
        state.deletions = settleTombstones()
        state.settledSegments = ids
        state.settledMarks = shared.withLock { $0.tombstones.marks.count }
        state.settledAt = now
    }

    private func nextInputs(_ state: CompactionState) -> [StoredSegment] {
        let segments = shared.withLock { $0.segments }.filter { !state.unreadable.contains($0.entry.id) }
        let policy = configuration.compaction
        let retention = configuration.retention
        let bytes = min(policy.segmentBytes, retention.bytes.map { $0 / 8 } ?? .max)
        let candidates = segments.map {
            CompactionCandidate(entry: $0.entry, earliestArrival: $0.reader.summary.earliestArrival)
        }
        var chosen = policy.nextRun(candidates, bytes: bytes, arrivals: retention.age.map { $0 / 8 } ?? .max)
        if chosen.isEmpty {
            let now = configuration.wallClock()
            let delay = isDiskLow ? 0 : policy.deletionDelay
            let due = state.deletions.filter { now >= $0.value && now - $0.value >= delay }
            if let oldest = due.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }) { chosen = [oldest.key] }
        }
        let inputs = segments.filter { chosen.contains($0.entry.id) }
        return hasRoom(for: inputs) ? inputs : []
    }

    private func hasRoom(for inputs: [StoredSegment]) -> Bool {
        guard !inputs.isEmpty else { return false }
        do {
            let space = try disk.space()
            // A rewrite alone removes more than it writes: what is reserved is there for it.
            let reserve = inputs.count == 1 ? 0 : configuration.watermarks(of: space).hard
            return space.freeBytes >= inputs.reduce(reserve) { $0 &+ $1.entry.byteCount }
        } catch { return false }
    }

    // MARK: Doing it

    private func compact(_ inputs: [StoredSegment]) throws(MergeError) {
        let id = commits.withLock { state in
            defer { state.nextSegmentID &+= 1 }
            return state.nextSegmentID
        }
        let level = inputs.reduce(0) { max($0, $1.entry.level) }
        let identity = SegmentIdentity(
            id: id, level: inputs.count == 1 ? level : level &+ 1,
            firstSequence: inputs.reduce(.max) { min($0, $1.entry.firstSequence) },
            lastSequence: inputs.reduce(0) { max($0, $1.entry.lastSequence) }, storeID: storeID,
            replaces: inputs.map(\.entry.id))
        let path = StorePath.segment(
            first: identity.firstSequence, last: identity.lastSequence, id: id, level: identity.level)
        let draft = path + StorePath.draftSuffix
        do throws(MergeError) {
            let result = try writeMerged(inputs, identity, draft)
            try verify(draft, result, of: inputs)
            try publish(Merged(identity: identity, result: result, draft: draft, path: path, inputs: inputs))
        } catch {
            // Best effort: the next start removes it.
            try? disk.remove(draft)
            throw error
        }
    }

    private func writeMerged(
        _ inputs: [StoredSegment], _ identity: SegmentIdentity, _ draft: String
    ) throws(MergeError) -> MergeResult {
        let file: any DiskFile
        do { file = try disk.createDraft(draft) } catch { throw .disk(error) }
        defer { file.close() }
        var merge = SegmentMerge(
            inputs.map(\.reader), tombstones: shared.withLock { $0.tombstones },
            compressionLevel: configuration.compressionLevel, blockSpans: configuration.compaction.blockSpans)
        let pace = Pace(configuration.compaction.bytesPerSecond)
        let result = try merge.run(identity, compressionLevel: configuration.compressionLevel) {
            (bytes) throws(DiskError) in
            try file.append(bytes)
        } pause: { (bytes) throws(MergeError) in
            if isStopping.load(ordering: .relaxed) { throw .stopped }
            if configuration.runsThreads { pace.wait(after: bytes) }
        }
        do { try file.syncData() } catch { throw .disk(error) }
        return result
    }

    /// Reads the draft back: every checksum, and not a span more or less than there should be.
    private func verify(_ draft: String, _ result: MergeResult, of inputs: [StoredSegment]) throws(MergeError) {
        let file: any DiskFile
        do { file = try disk.open(draft) } catch { throw .disk(error) }
        do throws(SegmentError) {
            let reader = try SegmentReader(file: file, name: draft)
            try reader.verify()
            let taken = inputs.reduce(0) { $0 &+ $1.entry.spanCount }
            guard reader.summary.spanCount == result.summary.spanCount,
                taken == result.summary.spanCount &+ result.deleted &+ result.repeated
            else { throw .damaged(file: draft, block: nil, "\(taken) spans became \(result)") }
        } catch { throw .segment(error) }
    }

    // MARK: Publishing

    private struct Merged {
        let identity: SegmentIdentity
        let result: MergeResult
        let draft: String
        let path: String
        let inputs: [StoredSegment]
    }

    private func publish(_ merged: Merged) throws(MergeError) {
        let failure = upkeep.withLock { state -> MergeError? in
            do throws(MergeError) {
                try publish(merged, &state)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private func publish(_ merged: Merged, _ state: inout UpkeepState) throws(MergeError) {
        let ids = Set(merged.inputs.map(\.entry.id))
        // Retention may have removed one meanwhile.
        guard state.manifest.segments.filter({ ids.contains($0.id) }).count == ids.count else { throw .stopped }
        state.manifest.nextSegmentID = max(state.manifest.nextSegmentID, merged.identity.id &+ 1)
        guard writeManifest(&state) else {
            throw .disk(DiskError(call: .rename, path: StorePath.manifest, code: DiskError.unexpectedEnd))
        }
        let reader: SegmentReader
        do {
            try disk.rename(merged.draft, to: merged.path)
            try disk.syncDirectory(StorePath.segmentDirectory)
            reader = try SegmentReader(file: segmentFiles.file(merged.path), name: merged.path)
        } catch {
            // No manifest lists it, so the next start removes it if this does not.
            try? disk.remove(merged.path)
            if let error = error as? DiskError { throw .disk(error) }
            if let error = error as? SegmentError { throw .segment(error) }
            throw .stopped
        }
        swap(merged, reader, ids, &state)
    }

    /// The result takes the place of its inputs, whatever fails from here on.
    private func swap(_ merged: Merged, _ reader: SegmentReader, _ ids: Set<UInt64>, _ state: inout UpkeepState) {
        let result = merged.result
        let entry = ManifestSegment(merged.identity, result.summary)
        let isEmpty = result.summary.spanCount == 0
        state.manifest.segments.removeAll { ids.contains($0.id) }
        if !isEmpty { state.manifest.segments.append(entry) }
        state.manifest.removed.deleted &+= result.deleted
        state.manifest.removed.merged &+= result.repeated
        writeManifest(&state)
        shared.withLock { shared in
            shared.segments.removeAll { ids.contains($0.entry.id) }
            if !isEmpty { shared.insert(StoredSegment(entry: entry, reader: reader)) }
            shared.removed.deleted &+= result.deleted
            shared.removed.merged &+= result.repeated
        }
        for input in merged.inputs { input.reader.keepOpen() }
        state.unlinks += merged.inputs.map(\.entry.path)
        if isEmpty { state.unlinks.append(merged.path) }
        removeUnlisted(&state)
        let before = merged.inputs.reduce(0) { $0 &+ $1.entry.byteCount }
        configuration.log(
            .info,
            "merged \(ids.count) segments of \(before) bytes into \(result.summary.byteCount); "
                + "\(result.deleted) spans deleted, \(result.repeated) repeated")
    }

    /// Unlinks what no manifest lists any more. A file that cannot be unlinked is left to the next start.
    func removeUnlisted(_ state: inout UpkeepState) {
        guard !state.isManifestStale, !state.unlinks.isEmpty else { return }
        do {
            for path in state.unlinks {
                do { try disk.remove(path) } catch { if !error.isMissing { throw error } }
            }
            try disk.syncDirectory(StorePath.segmentDirectory)
        } catch {
            configuration.log(.warning, "\(error); the next start removes it")
        }
        state.unlinks = []
    }
}

/// Keeps a stream of bytes below a rate by sleeping.
private final class Pace {
    private let bytesPerSecond: UInt64
    private let start = monotonicMilliseconds()
    private var bytes: UInt64 = 0

    init(_ bytesPerSecond: UInt64) { self.bytesPerSecond = bytesPerSecond }

    func wait(after more: UInt64) {
        guard bytesPerSecond > 0 else { return }
        bytes &+= more
        let due = start + Int(clamping: bytes &* 1_000 / bytesPerSecond)
        let early = due - monotonicMilliseconds()
        if early > 0 { usleep(UInt32(clamping: min(early, 500) * 1_000)) }
    }
}
