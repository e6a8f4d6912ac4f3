internal import Synchronization
internal import Telemetry

/// A segment that was found damaged while the store runs: its readable blocks become a segment of their own, the
/// original stays in quarantine, and the ledger has what cannot be read there.
///
/// Order, and what a crash after each line leaves: a second name in `quarantine/` (degraded, nothing else changed);
/// then as in `Compaction`: draft, synced and read back; manifest with the id spent; rename, folder synced; manifest
/// with the result in place of the original: from here on it counts; readers; the original's first name unlinked.
extension SegmentStore {
    /// - Parameter damaged: blocks that cannot be read; none when only header, footer or trailer are damaged, which
    ///   the reader has in memory.
    func setAside(_ segment: StoredSegment, damaged: Set<Int>) throws(MergeError) {
        try compaction.withLock { (_) throws(MergeError) in
            let name = String(segment.reader.name.split(separator: "/").last ?? "")
            try onDisk { () throws(DiskError) in
                do throws(DiskError) { try disk.link(segment.reader.name, to: StorePath.setAside(name)) } catch {
                    if !error.isThere { throw error }
                }
                try disk.syncDirectory(StorePath.quarantineDirectory)
            }
            let id = commits.withLock { state in
                defer { state.nextSegmentID &+= 1 }
                return state.nextSegmentID
            }
            var identity = segment.reader.identity
            identity.id = id
            identity.replaces = [segment.entry.id]
            let path = StorePath.segment(
                first: identity.firstSequence, last: identity.lastSequence, id: id, level: identity.level)
            let draft = path + StorePath.draftSuffix
            do throws(MergeError) {
                let result = try writeReadable(segment, damaged, identity, draft)
                try take(segment, result, identity, draft: draft, path: path)
            } catch {
                // Best effort: the next start removes it.
                try? disk.remove(draft)
                throw error
            }
            let lost = damaged.reduce(0) { $0 + segment.reader.footer.blocks[$1].spans }
            let problem = "\(name) was damaged in \(damaged.count) blocks with \(lost) spans and is in quarantine"
            configuration.log(.error, "scrub: \(problem)")
            shared.withLock { $0.problems.append(problem) }
        }
    }

    private func onDisk<Value>(_ body: () throws(DiskError) -> Value) throws(MergeError) -> Value {
        do { return try body() } catch { throw .disk(error) }
    }

    private func writeReadable(
        _ segment: StoredSegment, _ damaged: Set<Int>, _ identity: SegmentIdentity, _ draft: String
    ) throws(MergeError) -> MergeResult {
        let file = try onDisk { () throws(DiskError) in try disk.createDraft(draft) }
        defer { file.close() }
        var merge = SegmentMerge(
            [segment.reader], tombstones: shared.withLock { $0.tombstones },
            compressionLevel: configuration.compressionLevel, blockSpans: configuration.compaction.blockSpans,
            skipping: damaged)
        let result = try merge.run(identity, compressionLevel: configuration.compressionLevel) {
            (bytes) throws(DiskError) in
            try file.append(bytes)
        } pause: { (_) throws(MergeError) in
            if isStopping.load(ordering: .relaxed) { throw .stopped }
        }
        try onDisk { () throws(DiskError) in try file.syncData() }
        do throws(SegmentError) {
            let reader = try SegmentReader(file: try SegmentFacts.open(draft, disk), name: draft)
            try reader.verify()
            let lost = damaged.reduce(UInt64(0)) { $0 &+ UInt64(segment.reader.footer.blocks[$1].spans) }
            guard reader.summary.spanCount == result.summary.spanCount,
                segment.entry.spanCount == result.summary.spanCount &+ result.deleted &+ result.repeated &+ lost
            else { throw .damaged(file: draft, block: nil, "\(segment.entry.spanCount) spans became \(result)") }
        } catch { throw .segment(error) }
        return result
    }

    private func take(
        _ segment: StoredSegment, _ result: MergeResult, _ identity: SegmentIdentity, draft: String, path: String
    ) throws(MergeError) {
        let failure = upkeep.withLock { state -> MergeError? in
            do throws(MergeError) {
                try take(segment, result, identity, draft: draft, path: path, &state)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private func take(
        _ segment: StoredSegment, _ result: MergeResult, _ identity: SegmentIdentity, draft: String, path: String,
        _ state: inout UpkeepState
    ) throws(MergeError) {
        // Retention may have removed it meanwhile.
        guard state.manifest.segments.contains(where: { $0.id == segment.entry.id }) else { throw .stopped }
        state.manifest.nextSegmentID = max(state.manifest.nextSegmentID, identity.id &+ 1)
        guard writeManifest(&state) else {
            throw .disk(DiskError(call: .rename, path: StorePath.manifest, code: DiskError.unexpectedEnd))
        }
        let reader: SegmentReader
        do {
            try disk.rename(draft, to: path)
            try disk.syncDirectory(StorePath.segmentDirectory)
            reader = try SegmentReader(file: segmentFiles.file(path), name: path)
        } catch {
            // No manifest lists it, so the next start removes it if this does not.
            try? disk.remove(path)
            if let error = error as? DiskError { throw .disk(error) }
            if let error = error as? SegmentError { throw .segment(error) }
            throw .stopped
        }
        let entry = ManifestSegment(identity, result.summary)
        let isEmpty = result.summary.spanCount == 0
        var removed = RemovedSpans()
        removed.deleted = result.deleted
        removed.merged = result.repeated
        removed.quarantined = segment.entry.spanCount &- entry.spanCount &- removed.deleted &- removed.merged
        segment.reader.keepOpen()
        state.manifest.segments.removeAll { $0.id == segment.entry.id }
        if !isEmpty { state.manifest.segments.append(entry) }
        state.manifest.removed.add(removed)
        writeManifest(&state)
        shared.withLock { shared in
            shared.removeSegments([segment.entry.id])
            if !isEmpty { shared.insert(StoredSegment(entry: entry, reader: reader)) }
            shared.removed.add(removed)
        }
        state.unlinks.append(segment.entry.path)
        if isEmpty { state.unlinks.append(path) }
        removeUnlisted(&state)
    }
}

extension RemovedSpans {
    fileprivate mutating func add(_ other: RemovedSpans) {
        deleted &+= other.deleted
        merged &+= other.merged
        quarantined &+= other.quarantined
    }
}

extension StorePath {
    /// Not a segment's name: what can be read of the file is in the segment that took its place, and nothing may take
    /// it from here again.
    static func setAside(_ name: String) -> String { quarantine("\(name).damaged") }
}
