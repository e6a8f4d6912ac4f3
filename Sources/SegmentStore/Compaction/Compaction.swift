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
    /// The pins and segments of pinned traces of the last look for traces that are not pinned any more.
    var demotedPins = Pins()
    var demotedSegments: [UInt64] = []
}

/// The compactor's steps: several segments become one, or one of each class.
///
/// Order, and what a crash after each line leaves: drafts written, synced and verified (removed at the next start); the
/// manifest with the results' ids spent, so that a result which no manifest lists is removed at the next start; renamed
/// and the folder synced; manifest with the results in place of their inputs: from here on they count; readers; inputs
/// unlinked (or removed at the next start). Queries read the inputs until the swap, and those that hold a reader after.
/// Source: schemas/disk/segment.md, "Publishing".
extension SegmentStore {
    static let mergeRetryMilliseconds = 60_000
    private static let settleMilliseconds = 30_000
    private static let standBackMilliseconds: UInt32 = 20
    /// Milliseconds that a merge which has begun stands back in all: what comes after it may be retention's.
    private static let longestStandBack = 30_000

    /// Merges one run of segments, or rewrites one: to sort it, for deleted traces, or to thin it. False when there was
    /// nothing to do or it failed; the inputs then stay as they are.
    @discardableResult
    package func compactStep() -> Bool {
        compaction.withLock { state in
            guard configuration.compaction.isOn else { return false }
            let now = monotonicMilliseconds()
            guard !configuration.runsThreads || now >= state.retryAt else { return false }
            settle(&state, now)
            guard let work = nextWork(&state) else { return false }
            do throws(MergeError) {
                try compact(work)
                return true
            } catch {
                note(error, work.inputs, &state, now)
                return false
            }
        }
    }

    /// What requests are refused for is the time that a merge takes, and so is what the sealer falls behind by. Later a
    /// merge costs the same, so it waits, up to a bound: a query opens every segment that may hold what it looks for.
    /// What retention and deletions need is not put off.
    var mergesStandBack: Bool {
        guard configuration.isPressed() || isBehind else { return false }
        let waiting = shared.withLock { shared in shared.segments.count { $0.entry.level == 0 } }
        return waiting < configuration.compaction.mostWaiting
    }

    private func note(_ error: MergeError, _ inputs: [StoredSegment], _ state: inout CompactionState, _ now: Int) {
        switch error {
        case .stopped: return
        case .disk(let error): configuration.log(.error, "compaction failed, the segments stay: \(error)")
        case .segment(.disk(let error)): configuration.log(.error, "compaction failed, the segments stay: \(error)")
        case .segment(let error):
            configuration.log(.error, "compaction leaves a segment alone: \(error)")
            let damaged = inputs.filter { error.description.contains($0.reader.name) }
            let ids = (damaged.isEmpty ? inputs : damaged).map(\.entry.id)
            state.unreadable.formUnion(ids)
            return upkeep.withLock { $0.block(ids, until: .max) }
        }
        state.retryAt = now + Self.mergeRetryMilliseconds
        upkeep.withLock { $0.block(inputs.map(\.entry.id), until: state.retryAt) }
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

    // MARK: Doing it

    /// A result on its way: its name, and where it is written.
    private struct Draft {
        let identity: SegmentIdentity
        let file: any DiskFile
        let path: String

        var draft: String { path + StorePath.draftSuffix }
    }

    private func compact(_ work: CompactionWork) throws(MergeError) {
        let sorting = sorting(of: work)
        let names = CompactionNames(work, sorting, storeID: storeID, firstID: takeIDs(sorting.isNeeded))
        var drafts: [RetentionClass: Draft] = [:]
        do throws(MergeError) {
            let result = try writeMerged(work, sorting, names, &drafts)
            let written = result.outputs.compactMap { drafts[$0.identity.standing.retentionClass] }
            try verify(written.map(\.draft), result, of: work.inputs)
            try publish(Merged(result: result, paths: written.map(\.path), inputs: work.inputs, sorting: sorting))
        } catch {
            // Best effort: the next start removes them.
            for draft in drafts.values { try? disk.remove(draft.draft) }
            throw error
        }
    }

    /// Ids for a result of each class that there may be; those not needed are never used.
    private func takeIDs(_ isSorted: Bool) -> UInt64 {
        commits.withLock { state in
            defer { state.nextSegmentID &+= isSorted ? UInt64(RetentionClass.allCases.count) : 1 }
            return state.nextSegmentID
        }
    }

    private func writeMerged(
        _ work: CompactionWork, _ sorting: TraceSorting, _ names: CompactionNames,
        _ drafts: inout [RetentionClass: Draft]
    ) throws(MergeError) -> MergeResult {
        defer { for draft in drafts.values { draft.file.close() } }
        var merge = SegmentMerge(
            work.inputs.map(\.reader), sorting: sorting, compressionLevel: configuration.compressionLevel,
            blockSpans: configuration.compaction.blockSpans)
        let pace = Pace(configuration.compaction.bytesPerSecond)
        var patience = Self.longestStandBack
        let result = try merge.run(identity: names.identity) { (kind, bytes) throws(DiskError) in
            if let draft = drafts[kind] { return try draft.file.append(bytes) }
            let path = names.path(kind)
            let file = try disk.createDraft(path + StorePath.draftSuffix)
            drafts[kind] = Draft(identity: names.identity(kind), file: file, path: path)
            try file.append(bytes)
        } pause: { (bytes) throws(MergeError) in
            if isStopping.load(ordering: .relaxed) { throw .stopped }
            guard configuration.runsThreads else { return }
            pace.wait(after: bytes)
            guard work.inputs.count > 1 else { return }
            while mergesStandBack, patience > 0, !isStopping.load(ordering: .relaxed) {
                usleep(Self.standBackMilliseconds * 1_000)
                patience -= Int(Self.standBackMilliseconds)
            }
        }
        for draft in drafts.values { do { try draft.file.syncData() } catch { throw .disk(error) } }
        return result
    }

    /// Reads the drafts back: every checksum, and not a span more or less than there should be.
    private func verify(
        _ drafts: [String], _ result: MergeResult, of inputs: [StoredSegment]
    ) throws(MergeError) {
        var found: UInt64 = 0
        for draft in drafts {
            let file: any DiskFile
            do { file = try disk.open(draft) } catch { throw .disk(error) }
            do throws(SegmentError) {
                let reader = try SegmentReader(file: file, name: draft)
                try reader.verify()
                found &+= reader.summary.spanCount
            } catch { throw .segment(error) }
        }
        let taken = inputs.reduce(0) { $0 &+ $1.entry.spanCount }
        guard found == result.spanCount, taken == found &+ result.deleted &+ result.repeated &+ result.thinned else {
            let name = drafts.first ?? inputs.first?.reader.name ?? ""
            throw .segment(.damaged(file: name, block: nil, "\(taken) spans became \(result)"))
        }
    }

    // MARK: Publishing

    private struct Merged {
        let result: MergeResult
        /// Of the results, in their order.
        let paths: [String]
        let inputs: [StoredSegment]
        let sorting: TraceSorting
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
        let newest = merged.result.outputs.map(\.identity.id).max() ?? 0
        state.manifest.nextSegmentID = max(state.manifest.nextSegmentID, newest &+ 1)
        guard writeManifest(&state) else {
            throw .disk(DiskError(call: .rename, path: StorePath.manifest, code: DiskError.unexpectedEnd))
        }
        var readers: [SegmentReader] = []
        do {
            for path in merged.paths { try disk.rename(path + StorePath.draftSuffix, to: path) }
            try disk.syncDirectory(StorePath.segmentDirectory)
            for path in merged.paths { readers.append(try SegmentReader(file: segmentFiles.file(path), name: path)) }
            guard keepsPins(merged, readers) else { throw MergeError.stopped }
        } catch {
            // No manifest lists them, so the next start removes them if this does not.
            for path in merged.paths { try? disk.remove(path) }
            if let error = error as? DiskError { throw .disk(error) }
            if let error = error as? SegmentError { throw .segment(error) }
            throw .stopped
        }
        swap(merged, readers, ids, &state)
    }

    /// Whether no trace was thinned that was pinned since the merge began.
    private func keepsPins(_ merged: Merged, _ readers: [SegmentReader]) -> Bool {
        guard merged.result.thinned > 0 else { return true }
        var added = shared.withLock { $0.pins }
        added.marks = added.marks.filter { merged.sorting.pins.marks[$0.key] == nil }
        guard !added.isEmpty else { return true }
        return added.marks.keys.allSatisfy { key in
            var one = Pins()
            one.marks[key] = 0
            return !merged.inputs.contains { holdsPin($0, one, merged.sorting.tombstones) }
                || readers.contains { (try? $0.extent(of: key.traceID, tenant: key.tenant)) != .some(nil) }
        }
    }

    /// The results take the place of their inputs, whatever fails from here on.
    private func swap(
        _ merged: Merged, _ readers: [SegmentReader], _ ids: Set<UInt64>, _ state: inout UpkeepState
    ) {
        let result = merged.result
        let segments = zip(result.outputs, readers).map { output, reader in
            StoredSegment(entry: ManifestSegment(output.identity, output.summary), reader: reader)
        }
        state.manifest.segments.removeAll { ids.contains($0.id) }
        state.manifest.segments += segments.map(\.entry)
        state.manifest.removed.add(result)
        writeManifest(&state)
        shared.withLock { shared in
            shared.removeSegments(ids)
            for segment in segments { shared.insert(segment) }
            shared.removed.add(result)
        }
        for input in merged.inputs { input.reader.keepOpen() }
        state.unlinks += merged.inputs.map(\.entry.path)
        removeUnlisted(&state)
        let before = merged.inputs.reduce(0) { $0 &+ $1.entry.byteCount }
        let classes = segments.map { "\($0.retentionClass.name) \($0.entry.byteCount)" }.joined(separator: ", ")
        configuration.log(
            .info,
            "merged \(ids.count) segments of \(before) bytes into \(result.byteCount) (\(classes)); "
                + "\(result.deleted) spans deleted, \(result.repeated) repeated, \(result.thinned) thinned")
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
