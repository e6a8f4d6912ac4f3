/// What opening a directory found and did.
package struct RecoveryReport: Hashable, Sendable {
    package var isNew = false
    package var closedInOrder = false
    package var draftsRemoved = 0
    package var segments = 0
    /// Segments taken in that the manifest did not know, and removed ones unlinked at last.
    package var segmentsAdopted = 0
    package var segmentsUnlinked = 0
    /// Segments made of full heads while the log was read.
    package var segmentsSealed = 0
    package var replayedRecords: UInt64 = 0
    package var replayedSpans: UInt64 = 0
    /// Bytes of groups that were never acknowledged as durable.
    package var tornBytes: UInt64 = 0
    /// Spans of torn groups below others that survived: written with durability `interval`, and not synced in time.
    package var unsyncedSpans: UInt64 = 0
    /// Whole records in a torn end of which nothing can tell whether they had been acknowledged.
    package var ambiguousRecords = 0
    /// Records saved out of damaged groups.
    package var salvagedRecords = 0
    package var losses: [Loss] = []
    /// Names in `quarantine/` that this start put there.
    package var quarantined: [String] = []
    package var isManifestRebuilt = false
    /// Why the store is degraded, most important first.
    package var problems: [String] = []

    package init() {}

    package var lostSpans: UInt64 { losses.reduce(0) { $0 &+ $1.spans } }
}
