internal import Telemetry

/// Decides what becomes of each trace of a merge: its class, and whether thinning takes it.
///
/// A trace's class is that of its most valuable span, wherever that is stored: spans in other segments count as soon as
/// compaction has sorted those. So the parts of a trace end up together, each with the next merge of its own segment.
struct TraceSorting {
    enum Place {
        case kept(RetentionClass, factor: Double)
        case thinned
    }

    /// Of all inputs.
    var inputClass = RetentionClass.mixed
    /// Whether errors, slow and ordinary traces go to segments of their own.
    var separates = false
    /// Nanoseconds of a span from which its trace is slow.
    var slow = UInt64.max
    var pins = Pins()
    var tombstones = Tombstones()
    /// All segments that are no inputs, and all heads.
    var others: [StoredSegment] = []
    var heads: [Head] = []
    /// The bit of the hash by which half of the ordinary traces go; nil: none goes.
    var halving: UInt8?

    /// False: everything goes to one segment of the inputs' class.
    var isNeeded: Bool { separates || !pins.isEmpty || halving != nil || inputClass == .pinned }

    func place(_ id: TraceID, tenant: String, _ sources: [MergeCursor]) throws(SegmentError) -> Place {
        guard isNeeded else { return .kept(inputClass, factor: 1) }
        if pins.holds(id, tenant: tenant) { return .kept(.pinned, factor: 1) }
        guard separates else { return .kept(inputClass == .pinned ? .mixed : inputClass, factor: 1) }
        var kind = RetentionClass.ordinary
        for source in sources where kind != .error {
            let own = try source.retentionClass(slow: slow)
            if own.rawValue > kind.rawValue { kind = own }
        }
        for other in others where other.retentionClass == .error || other.retentionClass == .slow {
            guard other.retentionClass.rawValue > kind.rawValue, isStored(id, tenant, in: other) else { continue }
            kind = other.retentionClass
        }
        guard kind == .ordinary, let halving, !isElsewhere(id, tenant) else { return .kept(kind, factor: 1) }
        // Those that are elsewhere too stay and keep their weight: a trace goes as a whole or not at all.
        let hash = SegmentStanding.thinningHash(high: id.high, low: id.low)
        return hash >> UInt64(halving) & 1 == 0 ? .kept(kind, factor: 2) : .thinned
    }

    private func isElsewhere(_ id: TraceID, _ tenant: String) -> Bool {
        others.contains { isStored(id, tenant, in: $0) }
            || heads.contains { $0.withIndex { $0.entry(id, tenant) != nil } }
    }

    private func isStored(_ id: TraceID, _ tenant: String, in segment: StoredSegment) -> Bool {
        guard segment.reader.footer.filter.mayContain(id.high, id.low),
            !tombstones.covers(id, tenant: tenant, through: segment.entry.lastSequence)
        else { return false }
        // What cannot be read may hold it.
        do { return try segment.reader.extent(of: id, tenant: tenant) != nil } catch { return true }
    }
}
