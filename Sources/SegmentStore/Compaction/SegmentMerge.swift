internal import Telemetry

/// Why a merge ended without a result.
enum MergeError: Error {
    case disk(DiskError)
    case segment(SegmentError)
    case stopped
}

/// What a merge made of its inputs: spans in = spans out + deleted + repeated + thinned.
struct MergeResult {
    struct Output {
        var identity: SegmentIdentity
        var summary: SegmentSummary
    }

    /// One for each class of which there was a trace.
    var outputs: [Output] = []
    var deleted: UInt64 = 0
    /// Deliveries of a span beyond its first.
    var repeated: UInt64 = 0
    var thinned: UInt64 = 0

    var spanCount: UInt64 { outputs.reduce(0) { $0 &+ $1.summary.spanCount } }
    var byteCount: UInt64 { outputs.reduce(0) { $0 &+ $1.summary.byteCount } }
}

/// Writes the spans of several segments as one of each class, ordered as in each: by tenant, trace id and start.
///
/// Streams: one decoded block an input and one gathered block an output are in memory, whatever the segments' sizes.
/// The parts of a trace come together; spans that tombstones hide are left out; of spans that agree in everything but
/// arrival and weight the first stays.
struct SegmentMerge: ~Copyable {
    private let cursors: [MergeCursor]
    /// Those that have spans of the trace at hand.
    private var sources: [MergeCursor] = []
    private let sorting: TraceSorting
    private let tenants: [String]
    private let blockSpans: Int
    private let compressionLevel: Int32
    private let traceCount: Int
    /// By class, those that `isThere` says.
    private let outputs: UnsafeMutablePointer<MergeOutput>
    private var isThere = [Bool](repeating: false, count: RetentionClass.allCases.count)
    private var result = MergeResult()

    /// - Parameter skipping: blocks of each reader to leave out.
    init(
        _ readers: [SegmentReader], sorting: TraceSorting, compressionLevel: Int32, blockSpans: Int,
        skipping: Set<Int> = []
    ) {
        let names = Set(readers.flatMap(\.footer.tenants))
        let tenants = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        self.tenants = tenants
        self.sorting = sorting
        self.blockSpans = blockSpans
        self.compressionLevel = compressionLevel
        traceCount = Int(clamping: min(readers.reduce(0) { $0 &+ $1.summary.traceCount }, 1 << 31))
        cursors = readers.enumerated().map { MergeCursor($1, number: $0, tenants: tenants, skipping: skipping) }
        outputs = .allocate(capacity: RetentionClass.allCases.count)
    }

    deinit {
        for index in isThere.indices where isThere[index] { (outputs + index).deinitialize(count: 1) }
        outputs.deallocate()
    }

    /// Runs to the end.
    ///
    /// - Parameters:
    ///   - identity: of the result of a class, asked for once when its first trace comes.
    ///   - write: takes a file's bytes piece by piece, in order.
    ///   - pause: called after each block with the bytes read and written since the call before; throws to stop.
    mutating func run(
        identity: (RetentionClass) -> SegmentIdentity,
        write: (RetentionClass, [UInt8]) throws(DiskError) -> Void, pause: (UInt64) throws(MergeError) -> Void
    ) throws(MergeError) -> MergeResult {
        for cursor in cursors { do { try cursor.load() } catch { throw .segment(error) } }
        var accounted: UInt64 = 0
        while let key = next() {
            if try !dropDeleted(key) { try place(key, identity, write) }
            let moved = bytesMoved
            if moved != accounted { try pause(moved &- accounted) }
            accounted = moved
        }
        let there = RetentionClass.allCases.filter { isThere[Int($0.rawValue)] }
        let ids = there.map { outputs[Int($0.rawValue)].identity.id }
        for kind in there {
            let index = Int(kind.rawValue)
            let summary = try outputs[index].finish(
                siblings: ids.count > 1 ? ids : [], compressionLevel: compressionLevel
            ) { (bytes) throws(DiskError) in try write(kind, bytes) }
            result.repeated &+= outputs[index].repeated
            result.outputs.append(MergeResult.Output(identity: outputs[index].identity, summary: summary))
        }
        return result
    }

    /// The next trace; its cursors become the sources.
    private mutating func next() -> MergeCursor.Key? {
        var least: MergeCursor.Key?
        sources.removeAll(keepingCapacity: true)
        for cursor in cursors {
            guard let key = cursor.key else { continue }
            if let known = least {
                if known < key { continue }
                if key < known { sources.removeAll(keepingCapacity: true) }
            }
            least = key
            sources.append(cursor)
        }
        return least
    }

    private var bytesMoved: UInt64 {
        var moved = cursors.reduce(0) { $0 &+ $1.bytesRead }
        for index in isThere.indices where isThere[index] { moved &+= outputs[index].offset }
        return moved
    }

    private mutating func place(
        _ key: MergeCursor.Key, _ identity: (RetentionClass) -> SegmentIdentity,
        _ write: (RetentionClass, [UInt8]) throws(DiskError) -> Void
    ) throws(MergeError) {
        let place: TraceSorting.Place
        do { place = try sorting.place(key.id, tenant: tenants[key.tenant], sources) } catch { throw .segment(error) }
        guard case .kept(let kind, let factor) = place else {
            for cursor in sources { result.thinned &+= try skip(cursor, key) }
            return
        }
        let index = Int(kind.rawValue)
        let write = { (bytes: [UInt8]) throws(DiskError) in try write(kind, bytes) }
        if !isThere[index] {
            let filter =
                sorting.isNeeded ? TraceFilter(foldable: traceCount) : TraceFilter(traceCount: traceCount)
            (outputs + index).initialize(
                to: MergeOutput(
                    identity(kind), tenants: tenants, filter: filter, cursors: cursors.count,
                    heldBatches: sorting.isNeeded ? 2 * cursors.count + 8 : 4 * cursors.count + 16,
                    blockSpans: blockSpans, compressionLevel: compressionLevel))
            isThere[index] = true
            try outputs[index].begin(write)
        }
        try outputs[index].add(key, sources, factor: factor, write)
    }

    /// Steps over the trace where it is deleted; true when nothing of it is left.
    private mutating func dropDeleted(_ key: MergeCursor.Key) throws(MergeError) -> Bool {
        guard !sorting.tombstones.isEmpty else { return false }
        for cursor in sources {
            let last = cursor.reader.identity.lastSequence
            guard sorting.tombstones.covers(key.id, tenant: cursor.tenant, through: last) else { continue }
            result.deleted &+= try skip(cursor, key)
        }
        sources.removeAll { $0.key != key }
        return sources.isEmpty
    }

    /// Steps over what a cursor has of the trace, and says how many spans that were.
    private func skip(_ cursor: MergeCursor, _ key: MergeCursor.Key) throws(MergeError) -> UInt64 {
        var spans: UInt64 = 0
        while cursor.key == key {
            spans &+= UInt64(cursor.spansLeft)
            do { try cursor.skipTrace() } catch { throw .segment(error) }
        }
        return spans
    }
}
