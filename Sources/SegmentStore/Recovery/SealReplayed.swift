internal import Synchronization
internal import Telemetry

/// The seal of one full head, on a thread of its own while the log is read on.
struct ReplayedSeal: Sendable {
    private final class Work: Sendable {
        let outcome = Mutex<Result<HeadSeal.Sealed, SegmentStore.SealError>?>(nil)
    }

    let full: SealingHead
    private let work = Work()
    private let thread: DedicatedThread?

    /// - Parameter isBeside: false: does all of it before returning; so it is without a thread to be had.
    init(_ full: SealingHead, _ seal: HeadSeal, isBeside: Bool) {
        self.full = full
        let work = work
        let run: @Sendable () -> Void = {
            let outcome: Result<HeadSeal.Sealed, SegmentStore.SealError>
            do throws(SegmentStore.SealError) { outcome = .success(try seal.publish(full)) } catch {
                outcome = .failure(error)
            }
            work.outcome.withLock { $0 = outcome }
        }
        thread = isBeside ? DedicatedThread(run) : nil
        if thread == nil { run() }
    }

    /// Waits for its end; call it once.
    func wait() throws(SegmentStore.SealError) -> HeadSeal.Sealed {
        thread?.join()
        let outcome = work.outcome.withLock { $0 }
        guard let outcome else { throw .spanCount(head: UInt64(full.head.spanCount), segment: 0) }
        return try outcome.get()
    }
}

/// The part of recovery that seals full heads while the log is read: one at a time, in order.
///
/// The manifest is written at the end of recovery; after a crash before that a segment is taken in like one whose seal
/// had just ended, and its records are skipped.
extension Recovery {
    mutating func beginSeal(_ full: SealingHead) {
        let seal = HeadSeal(
            disk: disk, compressionLevel: configuration.compressionLevel, storeID: manifest.storeID,
            tombstones: shared.tombstones)
        sealUnderWay = ReplayedSeal(full, seal, isBeside: configuration.runsThreads)
    }

    /// Takes in the segment of the head before, if there is one. When its seal failed the head waits for the sealer, and
    /// nothing behind it may be sealed before it.
    mutating func endSeal() {
        guard let begun = sealUnderWay else { return }
        sealUnderWay = nil
        do {
            let sealed = try begun.wait()
            let reader = try SegmentReader(
                file: segmentFiles.file(sealed.path), name: sealed.path, inflater: inflater)
            let omitted = reader.summary.omittedCount
            manifest.segments.append(sealed.entry)
            manifest.sealedSequence = max(manifest.sealedSequence, begun.full.coveredSequence)
            manifest.removed.deleted &+= omitted
            shared.removed.deleted &+= omitted
            shared.insert(StoredSegment(entry: sealed.entry, reader: reader))
            report.segmentsSealed += 1
        } catch {
            configuration.log(.error, "recovery: seal failed, the WAL keeps the spans: \(error)")
            shared.sealing.append(begun.full)
        }
    }
}
