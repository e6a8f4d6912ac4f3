internal import Telemetry

/// The part of recovery that seals full heads while the log is read.
extension Recovery {
    /// Makes a segment of a full head. False when that failed: the head then waits for the sealer, and nothing behind
    /// it may be sealed before it.
    ///
    /// The manifest is written at the end of recovery; after a crash before that the segment is taken in like one whose
    /// seal had just ended, and its records are skipped.
    mutating func seal(_ full: SealingHead) -> Bool {
        let seal = HeadSeal(
            disk: disk, compressionLevel: configuration.compressionLevel, storeID: manifest.storeID,
            tombstones: shared.tombstones)
        do {
            let sealed = try seal.publish(full)
            let reader = try SegmentReader(
                file: segmentFiles.file(sealed.path), name: sealed.path, inflater: inflater)
            let omitted = reader.summary.omittedCount
            manifest.segments.append(sealed.entry)
            manifest.sealedSequence = max(manifest.sealedSequence, full.coveredSequence)
            manifest.removed.deleted &+= omitted
            shared.removed.deleted &+= omitted
            shared.insert(StoredSegment(entry: sealed.entry, reader: reader))
            report.segmentsSealed += 1
            return true
        } catch {
            configuration.log(.error, "recovery: seal failed, the WAL keeps the spans: \(error)")
            return false
        }
    }
}
