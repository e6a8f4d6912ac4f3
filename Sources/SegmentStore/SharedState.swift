internal import Telemetry

/// What readers, committer and sealer share. Every change keeps the ledger: what leaves one place is in another.
struct SharedState {
    var active = Head()
    /// Full heads, oldest first.
    var sealing: [SealingHead] = []
    /// In the order of their last sequences. Readers keep copies of the list outside of the lock, so it is replaced and
    /// never changed in place.
    private(set) var segments: [StoredSegment] = []
    var walFiles: [WALFile] = []
    /// Spans of all records committed, and of those recovery found missing.
    var stored: UInt64 = 0
    var removed = RemovedSpans()
    var tombstones = Tombstones()
    /// Changed under the `upkeep` lock only.
    var pins = Pins()
    /// Why the store is degraded.
    var problems: [String] = []
    var readOnly: String?
    var isClosed = false
    var space = SpaceReport()
    /// May be set while the store runs.
    var retention = RetentionPolicy()
}

extension SharedState {
    /// The segments that recovery found.
    mutating func start(with found: [StoredSegment]) {
        segments = found.sorted { ($0.entry.lastSequence, $0.entry.id) < ($1.entry.lastSequence, $1.entry.id) }
    }

    /// Adds a segment at its place.
    mutating func insert(_ segment: StoredSegment) {
        let place = segments.lastIndex { $0.entry.lastSequence <= segment.entry.lastSequence }.map { $0 + 1 } ?? 0
        segments = segments[..<place] + [segment] + segments[place...]
    }

    /// Takes out the segments with these ids, and answers them.
    @discardableResult
    mutating func removeSegments(_ ids: Set<UInt64>) -> [StoredSegment] {
        let gone = segments.filter { ids.contains($0.entry.id) }
        segments = segments.filter { !ids.contains($0.entry.id) }
        return gone
    }
}

/// A head that takes no more, and what its seal will be called.
struct SealingHead: Sendable {
    let head: Head
    /// Every record up to this one is sealed when this head is.
    let coveredSequence: UInt64
    let segmentID: UInt64
}

/// A segment that readers see. The file stays readable for who holds the reader, unlinked or not.
struct StoredSegment: Sendable {
    let entry: ManifestSegment
    let reader: SegmentReader
}

struct WALFile: Sendable {
    let path: String
    let firstSequence: UInt64
    /// Nil while it grows.
    var lastSequence: UInt64?
    var byteCount: UInt64
}

/// The committer's own: touched under the `commits` lock only.
struct CommitState {
    /// Nil while read-only, and with durability `memory`.
    var writer: WALWriter?
    /// Sequence of the next record.
    var nextSequence: UInt64
    /// Spans of all records before it.
    var spansBefore: UInt64
    /// Records written and not synced yet (durability `interval`).
    var unsynced: [UnsyncedRecord] = []
    /// True when the newest group has later bytes that testify for it.
    var isWitnessed = true
    var storeID: [UInt8]
    var nextSegmentID: UInt64
    var lastIdleStep = 0
    var lastSync = 0
    var lastCommit = 0
    /// Bytes logged since the free space was looked at.
    var unwatchedBytes: UInt64 = 0

    var durableSequence: UInt64 { (unsynced.first?.sequence ?? nextSequence) &- 1 }
}

struct UnsyncedRecord {
    let sequence: UInt64
    let record: WALRecord
}

/// The sealer's and the retention's own: touched under the `upkeep` lock only.
struct UpkeepState {
    var manifest: Manifest
    /// Set when the manifest on disk is older than `manifest`.
    var isManifestStale = false
    var clock: RetentionClock
    /// Losses found by recovery that are not below the sealed sequence yet: the manifest takes them when they are.
    var pendingLosses: [Loss] = []
    var failures = 0
    /// Monotonic milliseconds before which a failed seal is not tried again.
    var retryAt = 0
    /// Files that the manifest in memory does not list any more: unlinked when the one on disk does not either.
    var unlinks: [String] = []
    /// Segments that retention would remove if some of their traces were not worth more: compaction sorts them first.
    var splits: Set<UInt64> = []
    /// Segments that cannot be rewritten at the moment, and until when: monotonic milliseconds.
    var blocked: [UInt64: Int] = [:]
}

extension UpkeepState {
    mutating func block(_ ids: [UInt64], until time: Int) {
        for id in ids { blocked[id] = time }
    }
}

/// Acknowledged records that recovery did not find.
package struct Loss: Hashable, Sendable {
    package var firstSequence: UInt64
    package var lastSequence: UInt64
    package var spans: UInt64

    package init(firstSequence: UInt64, lastSequence: UInt64, spans: UInt64) {
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.spans = spans
    }
}
