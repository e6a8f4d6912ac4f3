internal import Telemetry

/// Makes a segment of a head: draft, sync, every byte read back, name, folder synced. From there on it counts.
///
/// Source: schemas/disk/segment.md, "Publishing".
struct HeadSeal {
    let disk: any Disk
    let compressionLevel: Int32
    let storeID: [UInt8]
    let tombstones: Tombstones

    /// What has its name on the disk.
    struct Sealed {
        let entry: ManifestSegment
        let path: String
    }

    func publish(_ sealing: SealingHead) throws(SegmentStore.SealError) -> Sealed {
        let (first, last) = sealing.head.sequences
        let identity = SegmentIdentity(
            id: sealing.segmentID, level: 0, firstSequence: first, lastSequence: max(last, sealing.coveredSequence),
            storeID: storeID, replaces: [])
        let path = StorePath.segment(
            first: identity.firstSequence, last: identity.lastSequence, id: identity.id, level: 0)
        let draft = path + StorePath.draftSuffix
        do {
            let summary = try writeDraft(sealing.head, identity, draft)
            try verify(draft, summary, spanCount: UInt64(sealing.head.spanCount) &- summary.omittedCount)
            try withDisk { () throws(DiskError) in
                try disk.rename(draft, to: path)
                try disk.syncDirectory(StorePath.segmentDirectory)
            }
            return Sealed(entry: ManifestSegment(identity, summary), path: path)
        } catch {
            // Best effort: the next attempt replaces it and the next start removes it.
            try? disk.remove(draft)
            throw error
        }
    }

    private func writeDraft(
        _ head: Head, _ identity: SegmentIdentity, _ draft: String
    ) throws(SegmentStore.SealError) -> SegmentSummary {
        try withDisk { () throws(DiskError) in
            let file = try disk.createDraft(draft)
            defer { file.close() }
            let encoder = SegmentEncoder(compressionLevel: compressionLevel)
            let records = head.records
            let (batches, omitted) = tombstones.remaining(records.batches, sequences: records.sequences)
            let summary = try encoder.encode(batches, identity: identity, omitted: UInt64(omitted)) {
                (bytes) throws(DiskError) in try file.append(bytes)
            }
            try file.syncData()
            return summary
        }
    }

    /// Reads the draft back: every checksum, and not a span more or less than the head has.
    private func verify(
        _ draft: String, _ summary: SegmentSummary, spanCount: UInt64
    ) throws(SegmentStore.SealError) {
        let file = try withDisk { () throws(DiskError) in try disk.open(draft) }
        let reader: SegmentReader
        do {
            reader = try SegmentReader(file: file, name: draft)
            try reader.verify()
        } catch { throw .segment(error) }
        guard reader.summary.spanCount == spanCount, summary.spanCount == spanCount else {
            throw .spanCount(head: spanCount, segment: reader.summary.spanCount)
        }
    }

    private func withDisk<Value>(_ body: () throws(DiskError) -> Value) throws(SegmentStore.SealError) -> Value {
        do { return try body() } catch { throw .disk(error) }
    }
}
