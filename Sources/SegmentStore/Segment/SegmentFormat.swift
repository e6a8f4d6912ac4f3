/// Numbers that writer and reader of segment files share.
///
/// Source: schemas/disk/segment.md.
enum SegmentFormat {
    static let headerMagic = Array("CRESTSEG".utf8)
    static let trailerMagic = Array("CRESTEND".utf8)
    static let majorVersion: UInt8 = 1
    static let minorVersion: UInt8 = 0
    static let headerBytes = 64
    static let trailerBytes = 32
    static let storeIDBytes = 16
    /// Plain bytes of one frame; a longer one is damage.
    static let frameBytes = 128 << 20
    /// Bytes of the footer as stored; a longer one is damage.
    static let footerBytes = 256 << 20
    /// Strings of one block; the block is closed after the span that passes it.
    static let blockTextBytes = 4 << 20
    /// Columns of attribute values for one kind of owner in one block; further keys share one column.
    static let attributeColumns = 1_000
    /// Index of an attribute that lies in the shared column.
    static let sharedColumn: UInt16 = .max
    /// Distinct services and operations that a segment lists.
    static let catalogEntries = 16_384
    /// Distinct values up to which integers may be a dictionary.
    static let integerDictionary = 4_096
    /// Distinct strings up to which codes are plain indexes.
    static let plainCodes = 256
    /// Pieces shorter than this are never worth a zstd frame.
    static let leastCompressed = 48
    /// Rows of any table of one block; far more than a writer makes.
    static let blockRows = 1 << 24
    static let filterLineBytes = 64
    static let oneWeight: UInt64 = 0x3FF0_0000_0000_0000
}

/// First byte of a column: how its values are stored.
enum ColumnEncoding: UInt8 {
    case zero = 0
    case constant = 1
    case planes = 2
    case integerDictionary = 3
    case constantString = 4
    case plainStrings = 5
    case stringDictionary = 6
    case raw = 7
}

/// Whose attributes: each kind of owner has its own columns.
enum AttributeOwner: UInt8, CaseIterable {
    case span = 0
    case event = 1
    case link = 2
    case scope = 3
    case resource = 4
}

/// The columns of a block; raw values are the ids on disk.
enum ColumnID {
    static let traceHigh: UInt8 = 1
    static let traceLow: UInt8 = 2
    static let traceSpans: UInt8 = 3
    static let traceStart: UInt8 = 4
    static let traceExtent: UInt8 = 5
    static let spanID: UInt8 = 6
    static let parent: UInt8 = 7
    static let parentID: UInt8 = 8
    static let startOffset: UInt8 = 9
    static let duration: UInt8 = 10
    static let name: UInt8 = 11
    static let traceState: UInt8 = 12
    static let statusMessage: UInt8 = 13
    static let scope: UInt8 = 14
    static let kind: UInt8 = 15
    static let status: UInt8 = 16
    static let flags: UInt8 = 17
    static let marks: UInt8 = 18
    static let weight: UInt8 = 19
    static let droppedAttributes: UInt8 = 20
    static let droppedEvents: UInt8 = 21
    static let droppedLinks: UInt8 = 22
    static let arrival: UInt8 = 23
    static let eventCount: UInt8 = 24
    static let linkCount: UInt8 = 25
    static let eventTime: UInt8 = 26
    static let eventName: UInt8 = 27
    static let eventDropped: UInt8 = 28
    static let linkTraceHigh: UInt8 = 29
    static let linkTraceLow: UInt8 = 30
    static let linkSpanID: UInt8 = 31
    static let linkTraceState: UInt8 = 32
    static let linkFlags: UInt8 = 33
    static let linkDropped: UInt8 = 34
    static let scopeResource: UInt8 = 35
    static let scopeName: UInt8 = 36
    static let scopeVersion: UInt8 = 37
    static let scopeSchemaURL: UInt8 = 38
    static let scopeDropped: UInt8 = 39
    static let resourceSchemaURL: UInt8 = 40
    static let resourceService: UInt8 = 41
    static let resourceDropped: UInt8 = 42
    /// Not a column of values: see `ValueFilter`.
    static let valueFilter: UInt8 = 43

    static func shape(_ owner: AttributeOwner) -> UInt8 { 48 + owner.rawValue }
    static func shared(_ owner: AttributeOwner) -> UInt8 { 56 + owner.rawValue }
    static func value(_ owner: AttributeOwner) -> UInt8 { 64 + owner.rawValue }

    /// The owner whose values a column id holds; nil for other columns.
    static func valueOwner(_ id: UInt8) -> AttributeOwner? {
        id >= 64 ? AttributeOwner(rawValue: id - 64) : nil
    }

    static func isKnown(_ id: UInt8) -> Bool {
        switch id {
        case 1...43, 48...52, 56...60, 64...68: true
        default: false
        }
    }

    /// What a report calls a column that is not an attribute's.
    static func name(_ id: UInt8) -> String {
        let fixed = [
            "", "trace id high", "trace id low", "trace spans", "trace start", "trace extent", "span id", "parent",
            "parent id", "start", "duration", "name", "trace state", "status message", "scope", "kind", "status",
            "flags", "marks", "weight", "dropped attributes", "dropped events", "dropped links", "arrival",
            "event count", "link count", "event time", "event name", "event dropped", "link trace high",
            "link trace low", "link span id", "link trace state", "link flags", "link dropped", "scope resource",
            "scope name", "scope version", "scope schema URL", "scope dropped", "resource schema URL",
            "resource service", "resource dropped", "value filter",
        ]
        if Int(id) < fixed.count { return fixed[Int(id)] }
        let kind = id >= 64 ? "values" : id >= 56 ? "other attributes" : "shape"
        return AttributeOwner(rawValue: id & 7).map { "\($0) \(kind)" } ?? "column \(id)"
    }
}

/// Why a segment file cannot be used.
package enum SegmentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The operating system refused.
    case disk(DiskError)
    /// Not a file of this format, or of a newer version of it.
    case unsupported(file: String, String)
    /// The bytes contradict themselves or a checksum. `block` is nil for header, footer and trailer.
    case damaged(file: String, block: Int?, String)

    package var description: String {
        switch self {
        case .disk(let error): error.description
        case .unsupported(let file, let reason): "segment \(file): \(reason)"
        case .damaged(let file, let block?, let reason): "segment \(file), block \(block): \(reason)"
        case .damaged(let file, nil, let reason): "segment \(file): \(reason)"
        }
    }
}

/// Damage inside a piece, before file and block are known.
struct PieceDefect: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// Who a segment is.
package struct SegmentIdentity: Hashable, Sendable {
    package var id: UInt64
    /// 0 sealed from the head, more after compaction.
    package var level: UInt8
    /// WAL sequences whose spans are inside, both inclusive.
    package var firstSequence: UInt64
    package var lastSequence: UInt64
    /// 16 bytes; shorter ones are padded with zeros, longer ones cut.
    package var storeID: [UInt8]
    /// Ids of the segments this one takes the place of.
    package var replaces: [UInt64]
    package var standing = SegmentStanding()
    /// Ids of the segments that take the place of the same ones together, this one among them; empty when it is alone.
    package var siblings: [UInt64] = []

    package init(
        id: UInt64, level: UInt8 = 0, firstSequence: UInt64 = 0, lastSequence: UInt64 = 0,
        storeID: [UInt8] = [], replaces: [UInt64] = []
    ) {
        self.id = id
        self.level = level
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        let padded = storeID.prefix(SegmentFormat.storeIDBytes)
        self.storeID = padded + [UInt8](repeating: 0, count: SegmentFormat.storeIDBytes - padded.count)
        self.replaces = replaces
    }
}

/// What a segment holds, in numbers. Times are unix nanoseconds; all zero when it holds nothing.
package struct SegmentSummary: Hashable, Sendable {
    package var spanCount: UInt64 = 0
    package var traceCount: UInt64 = 0
    /// Bytes of the whole file.
    package var byteCount: UInt64 = 0
    /// Bounds of the spans' starts.
    package var earliestStart: UInt64 = 0
    package var latestStart: UInt64 = 0
    package var earliestArrival: UInt64 = 0
    package var latestArrival: UInt64 = 0
    /// Spans of its WAL records that it does not hold, for they had been deleted when it was written.
    package var omittedCount: UInt64 = 0

    package init() {}
}
