/// When segments are merged, and how hard the disk may be used for it.
package struct CompactionPolicy: Hashable, Sendable {
    /// False: segments stay as they were sealed; what was deleted stays hidden and on disk.
    package var isOn = true
    /// Segments of one level that become one of the next; at least 2.
    package var fanIn = 8
    /// A result is not made larger than this.
    package var segmentBytes: UInt64 = 1 << 30
    /// Bytes read and written a second; 0: as fast as it goes.
    package var bytesPerSecond: UInt64 = 64 << 20
    /// Nanoseconds after which a segment is written anew for nothing but a deleted trace in it.
    package var deletionDelay: UInt64 = 600 * 1_000_000_000
    /// Nanoseconds since its newest arrival after which a segment may be thinned: late spans have come by then.
    package var quietTime: UInt64 = 60 * 1_000_000_000
    /// Segments that were never merged, beyond which merges go on although requests are refused.
    package var mostWaiting = 128
    /// Spans of one block.
    package var blockSpans = 8_192

    package init() {}
}

/// What the policy looks at.
struct CompactionCandidate {
    var entry: ManifestSegment
    /// Unix nanoseconds.
    var earliestArrival: UInt64
    var retentionClass = RetentionClass.mixed
    /// Nanoseconds and bytes that a merge of its class may span.
    var longestRun = UInt64.max
    var largestRun = UInt64.max
}

extension CompactionPolicy {
    /// The largest level; far more than any store needs.
    static let topLevel: UInt8 = 200

    /// The ids of the segments to merge next; empty when there is nothing to do.
    ///
    /// Lowest level first, and in it the oldest run of one class. A run must not make more bytes, nor span more time of
    /// arrival than its class may: retention removes whole segments and would have to wait for the newest span of each.
    func nextRun(_ candidates: [CompactionCandidate]) -> [UInt64] {
        let width = max(2, fanIn)
        for level in Set(candidates.map(\.entry.level)).sorted() where level < Self.topLevel {
            for kind in RetentionClass.allCases {
                let peers = candidates.filter { $0.entry.level == level && $0.retentionClass == kind }.sorted {
                    ($0.entry.lastSequence, $0.entry.id) < ($1.entry.lastSequence, $1.entry.id)
                }
                guard peers.count >= width else { continue }
                for first in 0...(peers.count - width) {
                    let run = peers[first..<first + width]
                    if isGood(run) { return run.map(\.entry.id) }
                }
            }
        }
        return []
    }

    private func isGood(_ run: ArraySlice<CompactionCandidate>) -> Bool {
        guard let peer = run.first else { return false }
        let size = run.reduce(0) { $0 &+ $1.entry.byteCount }
        let oldest = run.reduce(UInt64.max) { min($0, $1.earliestArrival) }
        let newest = run.reduce(0) { max($0, $1.entry.latestArrival) }
        return size <= min(segmentBytes, peer.largestRun) && (newest <= oldest || newest - oldest <= peer.longestRun)
    }
}
