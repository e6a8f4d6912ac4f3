/// A snapshot of the store, as the daemon tells it.
package struct SnapshotFacts: Hashable, Sendable {
    package var id: String
    package var createdUnixNano: UInt64
    package var spans: UInt64
    /// Bytes of its files; those shared with the store take no room of their own.
    package var bytes: UInt64
    package var segments: UInt64
    /// Every span acknowledged with a `crest-seq` up to this one is inside.
    package var lastSequence: UInt64
    /// Its folder, as the daemon names its data directory.
    package var path: String

    package init(
        id: String, createdUnixNano: UInt64, spans: UInt64, bytes: UInt64, segments: UInt64, lastSequence: UInt64,
        path: String
    ) {
        self.id = id
        self.createdUnixNano = createdUnixNano
        self.spans = spans
        self.bytes = bytes
        self.segments = segments
        self.lastSequence = lastSequence
        self.path = path
    }
}

/// Why the daemon made no snapshot, in a sentence.
package struct SnapshotRefusal: Error, Hashable, Sendable {
    package let reason: String
    package init(_ reason: String) { self.reason = reason }
}
