internal import Synchronization

/// The scrub's own: touched under the `scrubbing` lock only.
struct ScrubState {
    /// Segments of this pass still to be read, and how many bytes it has in all.
    var rest: [UInt64] = []
    var passBytes: UInt64 = 0
    var doneBytes: UInt64 = 0
    /// The segment being read and the next block of it.
    var segment: StoredSegment?
    /// Opened anew for the scrub; nil when its ends are damaged.
    var file: SegmentReader?
    var nextBlock = 0
    var damaged: Set<Int> = []
    var isFooterDamaged = false
    /// Bytes that may be read now; negative when the last block was larger than what was allowed.
    var allowance: Int64 = 0
    /// Monotonic milliseconds; nil before the first step.
    var lastStep: Int?
    /// When the pass began or the next one may begin.
    var passStart = 0
    var counts = ScrubCounts()
}

/// What the scrub has read and found since the start.
package struct ScrubCounts: Hashable, Sendable {
    package var bytes: UInt64 = 0
    package var passes: UInt64 = 0
    package var damagedBlocks: UInt64 = 0
    /// Segments with a damaged block, header, footer or trailer.
    package var damagedSegments: UInt64 = 0
    /// Reads that the medium refused; the segment is left for the next pass.
    package var errors: UInt64 = 0
    /// How much of the pass under way is read: 0 to 1; 1 when none is.
    package var progress = 1.0

    package init() {}
}

/// The background scrub: reads every segment again from time to time, a block at a step, below a rate.
///
/// What it finds damaged is set aside as a start would do it, see `SetAside`. Segments alone: the WAL lives for minutes,
/// and a snapshot shares its segments' bytes with the store.
/// Source: schemas/disk/salvage.md, "Scrub".
extension SegmentStore {
    /// Unused allowance is kept for this long at most.
    private static let burstMilliseconds = 2_000

    package var scrubCounts: ScrubCounts { scrubbing.withLock { $0.counts } }

    /// Reads as many blocks as the rate allows since the last call. Call it about once a second.
    /// - Parameter now: monotonic milliseconds.
    package func scrubStep(now: Int) {
        scrubbing.withLock { state in
            let policy = configuration.scrub
            guard policy.bytesPerSecond > 0 else { return }
            let elapsed = min(now - (state.lastStep ?? now), Self.burstMilliseconds)
            if state.lastStep == nil { state.passStart = now }
            state.lastStep = now
            let burst = Int64(clamping: policy.bytesPerSecond) &* Int64(Self.burstMilliseconds) / 1_000
            state.allowance = min(
                burst, state.allowance + Int64(clamping: policy.bytesPerSecond) &* Int64(max(elapsed, 0)) / 1_000)
            while state.allowance > 0, !isStopping.load(ordering: .relaxed) {
                guard prepare(&state, now) else { return }
                readBlock(&state)
            }
        }
    }

    /// Finds the next block to read; false when there is none at the moment.
    private func prepare(_ state: inout ScrubState, _ now: Int) -> Bool {
        while true {
            if let segment = state.segment {
                if state.nextBlock < segment.reader.blockCount { return true }
                finish(segment, &state)
            }
            if state.rest.isEmpty {
                if state.passBytes > 0 {
                    state.counts.passes += 1
                    state.counts.progress = 1
                    state.passBytes = 0
                    state.passStart &+= configuration.scrub.intervalMilliseconds
                }
                guard now >= state.passStart, beginPass(&state, now) else { return false }
            }
            let id = state.rest.removeFirst()
            // Compaction and retention may have removed it meanwhile.
            if let next = shared.withLock({ $0.segments.first { $0.entry.id == id } }) { begin(next, &state) }
        }
    }

    /// All segments of this moment, from a random one on: a daemon that is often restarted reads all of them too.
    private func beginPass(_ state: inout ScrubState, _ now: Int) -> Bool {
        let segments = shared.withLock { $0.segments.map(\.entry) }.sorted { $0.id < $1.id }
        guard !segments.isEmpty else { return false }
        let first = Int(configuration.random() % UInt64(segments.count))
        state.rest = (segments[first...] + segments[..<first]).map(\.id)
        state.passBytes = segments.reduce(0) { $0 &+ $1.byteCount }
        state.doneBytes = 0
        state.passStart = now
        state.counts.progress = 0
        return true
    }

    /// Header, footer and trailer are read again from the file; the reader of the queries has them in memory.
    private func begin(_ segment: StoredSegment, _ state: inout ScrubState) {
        state.nextBlock = 0
        state.damaged = []
        state.isFooterDamaged = false
        state.segment = segment
        state.file = nil
        charge(segment.entry.byteCount &- segment.reader.footer.blocks.reduce(0) { $0 &+ $1.byteCount }, &state)
        do throws(SegmentError) {
            let found = try SegmentReader(
                file: try SegmentFacts.open(segment.reader.name, disk), name: segment.reader.name)
            state.isFooterDamaged = found.summary != segment.reader.summary
            state.file = found
        } catch { note(error, block: nil, &state) }
    }

    private func readBlock(_ state: inout ScrubState) {
        guard let segment = state.segment else { return }
        let index = state.nextBlock
        state.nextBlock += 1
        charge(segment.reader.footer.blocks[index].byteCount, &state)
        let reader = state.file ?? segment.reader
        do throws(SegmentError) { try check(reader, index) } catch {
            // Once more: only what is wrong twice is damage.
            do throws(SegmentError) {
                try check(reader, index)
                state.counts.errors += 1
            } catch { note(error, block: index, &state) }
        }
    }

    private func check(_ reader: SegmentReader, _ index: Int) throws(SegmentError) {
        var block = reader.block(index, PieceInflater())
        try block.checkColumns()
    }

    private func charge(_ bytes: UInt64, _ state: inout ScrubState) {
        state.allowance -= Int64(clamping: bytes)
        state.counts.bytes &+= bytes
        state.doneBytes &+= bytes
        guard state.passBytes > 0 else { return }
        state.counts.progress = min(1, Double(state.doneBytes) / Double(state.passBytes))
    }

    private func note(_ error: SegmentError, block: Int?, _ state: inout ScrubState) {
        if case .disk(let error) = error, !error.isTooShort {
            // The medium may recover: nothing is moved, and the next pass looks again.
            state.counts.errors += 1
            state.segment = nil
            return configuration.log(.error, "scrub: \(error)")
        }
        configuration.log(.error, "scrub: \(error)")
        if let block {
            state.damaged.insert(block)
            state.counts.damagedBlocks += 1
        } else {
            state.isFooterDamaged = true
        }
    }

    private func finish(_ segment: StoredSegment, _ state: inout ScrubState) {
        state.segment = nil
        state.file = nil
        guard !state.damaged.isEmpty || state.isFooterDamaged else { return }
        state.counts.damagedSegments += 1
        do throws(MergeError) { try setAside(segment, damaged: state.damaged) } catch {
            configuration.log(.error, "scrub: \(segment.reader.name) is damaged and could not be set aside: \(error)")
            shared.withLock { $0.problems.append("\(segment.reader.name) is damaged") }
        }
    }
}

/// How often and how fast segments are read again.
package struct ScrubPolicy: Hashable, Sendable {
    /// 0: never.
    package var bytesPerSecond: UInt64 = 2_000_000
    /// From the beginning of a pass to that of the next.
    package var intervalMilliseconds = 7 * 86_400_000

    package init() {}
}
