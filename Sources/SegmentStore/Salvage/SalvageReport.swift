/// Something acknowledged that a salvage could not save.
package struct SalvageLoss: Hashable, Sendable {
    /// Relative to the damaged directory; nil when no file is left that held it.
    package var file: String?
    /// Of a segment; nil for the WAL and for whole files.
    package var block: Int?
    /// The damaged bytes of the file.
    package var bytes: Range<UInt64>?
    /// Log sequences of the lost records, or of the segment that the block is of.
    package var sequences: ClosedRange<UInt64>?
    /// Nil when nothing tells.
    package var spans: UInt64?
    /// Unix nanoseconds: span starts for a block; for the WAL between the commits before and after, the latter
    /// `UInt64.max` when there is none.
    package var times: ClosedRange<UInt64>?
    package var reason: String

    package init(file: String? = nil, reason: String) {
        self.file = file
        self.reason = reason
    }
}

/// What a salvage saved, and exactly what it did not.
package struct SalvageReport: Sendable {
    /// Segments taken over byte for byte.
    package var wholeSegments = 0
    /// Segments written anew from their readable blocks.
    package var rewrittenSegments = 0
    /// Segments of which nothing can be read.
    package var lostSegments = 0
    /// Spans saved out of segments, and out of the WAL.
    package var segmentSpans: UInt64 = 0
    package var walSpans: UInt64 = 0
    /// WAL records saved out of damaged groups.
    package var looseRecords = 0
    /// Records in a torn end of the WAL of which nothing tells whether they had been acknowledged.
    package var ambiguousRecords = 0
    /// Files of the metrics log taken over, whole or up to their damage.
    package var metricsFiles = 0
    package var losses: [SalvageLoss] = []
    /// What was found and cost no span: damaged META, MANIFEST, filters, torn ends, sectors that cannot be read.
    package var notes: [StoreFinding] = []
    /// The new directory's: its segments and ledger terms.
    package var manifest = Manifest(storeID: [])

    package init() {}

    /// Spans lost now, as the new directory's ledger has them; those lost before are not among them.
    package var lostSpans: UInt64 = 0
    package var isComplete: Bool { losses.isEmpty }
}

/// Why nothing was salvaged. What was made in the target is removed again.
package enum SalvageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The source cannot be listed.
    case source(DiskError)
    /// The new directory cannot be written.
    case target(DiskError)
    case notEmpty
    /// No file tells that this is a data directory.
    case nothingFound
    /// A whole file of a format that this version does not know: not damage.
    case unknownFormat(String, major: UInt16)
    /// What was written does not read back.
    case notVerified(String)

    package var description: String {
        switch self {
        case .source(let error): "the damaged directory: \(error)"
        case .target(let error): "the new directory: \(error)"
        case .notEmpty: "the new directory is not empty"
        case .nothingFound: "no META, MANIFEST, segment or WAL file can be read: not a data directory"
        case .unknownFormat(let path, let major): "\(path) has format \(major), which this version does not know"
        case .notVerified(let reason): "what was written does not read back: \(reason)"
        }
    }
}
