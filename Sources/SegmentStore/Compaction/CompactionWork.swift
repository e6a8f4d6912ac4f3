internal import Synchronization
internal import Telemetry

/// What the compactor does in one step.
struct CompactionWork {
    var inputs: [StoredSegment]
    /// Half of the ordinary traces goes.
    var halves = false
}

/// How the results of one step are called.
struct CompactionNames {
    private let base: SegmentIdentity

    init(_ work: CompactionWork, _ sorting: TraceSorting, storeID: [UInt8], firstID: UInt64) {
        let inputs = work.inputs
        let level = inputs.reduce(0) { max($0, $1.entry.level) }
        var base = SegmentIdentity(
            id: firstID, level: inputs.count == 1 ? level : level &+ 1,
            firstSequence: inputs.reduce(.max) { min($0, $1.entry.firstSequence) },
            lastSequence: inputs.reduce(0) { max($0, $1.entry.lastSequence) }, storeID: storeID,
            replaces: inputs.map(\.entry.id))
        // Every result has it, so that no bit of the hash decides twice over a trace that changes its class.
        base.standing.thinning = inputs.reduce(0) { max($0, $1.thinning) } &+ (work.halves ? 1 : 0)
        self.base = base
        isSorted = sorting.isNeeded
    }

    private let isSorted: Bool

    func identity(_ kind: RetentionClass) -> SegmentIdentity {
        var identity = base
        if isSorted { identity.id &+= UInt64(kind.rawValue) }
        identity.standing.retentionClass = kind
        return identity
    }

    func path(_ kind: RetentionClass) -> String {
        let identity = identity(kind)
        return StorePath.segment(
            first: identity.firstSequence, last: identity.lastSequence, id: identity.id, level: identity.level)
    }
}

/// What is to be done next. In this order: what retention waits for, runs of one level, what was deleted long enough
/// ago, thinning, traces that are not pinned any more.
extension SegmentStore {
    func nextWork(_ state: inout CompactionState) -> CompactionWork? {
        let (all, retention) = shared.withLock { ($0.segments, $0.retention) }
        let segments = all.filter { !state.unreadable.contains($0.entry.id) }
        if let split = nextSplit(segments) { return CompactionWork(inputs: [split]) }
        let run = mergesStandBack ? [] : nextRun(segments, retention)
        if hasRoom(for: run) { return CompactionWork(inputs: run) }
        if let segment = nextDeletion(segments, state), hasRoom(for: [segment]) {
            return CompactionWork(inputs: [segment])
        }
        if let segment = nextThinning(segments, retention), hasRoom(for: [segment]) {
            return CompactionWork(inputs: [segment], halves: true)
        }
        if let segment = nextDemotion(segments, &state), hasRoom(for: [segment]) {
            return CompactionWork(inputs: [segment])
        }
        return nil
    }

    private func nextSplit(_ segments: [StoredSegment]) -> StoredSegment? {
        let (wanted, blocked) = upkeep.withLock { ($0.splits, $0.blocked) }
        guard !wanted.isEmpty else { return nil }
        let now = monotonicMilliseconds()
        for segment in segments where wanted.contains(segment.entry.id) && now >= blocked[segment.entry.id] ?? 0 {
            if hasRoom(for: [segment]) { return segment }
            upkeep.withLock { $0.block([segment.entry.id], until: now + Self.mergeRetryMilliseconds) }
        }
        return nil
    }

    private func nextRun(_ segments: [StoredSegment], _ retention: RetentionPolicy) -> [StoredSegment] {
        let candidates = segments.map { segment in
            let limits = retention.runLimits(of: segment.retentionClass)
            return CompactionCandidate(
                entry: segment.entry, earliestArrival: segment.reader.summary.earliestArrival,
                retentionClass: segment.retentionClass, longestRun: limits.arrivals, largestRun: limits.bytes)
        }
        let chosen = configuration.compaction.nextRun(candidates)
        return segments.filter { chosen.contains($0.entry.id) }
    }

    private func nextDeletion(_ segments: [StoredSegment], _ state: CompactionState) -> StoredSegment? {
        let now = configuration.wallClock()
        let delay = isDiskLow ? 0 : configuration.compaction.deletionDelay
        let due = state.deletions.filter { now >= $0.value && now - $0.value >= delay }
        guard let oldest = due.min(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { return nil }
        return segments.first { $0.entry.id == oldest.key }
    }

    /// The segment to thin: when the ordinary traces have seven eighths of their bytes the oldest of those that were
    /// thinned least, so that they hardly ever have all of them.
    private func nextThinning(_ segments: [StoredSegment], _ retention: RetentionPolicy) -> StoredSegment? {
        guard let budget = retention.classes[.ordinary]?.bytes else { return nil }
        let ordinary = segments.filter { $0.budgetClass == .ordinary }
        guard ordinary.reduce(0, { $0 &+ $1.entry.byteCount }) > budget / 8 * 7 else { return nil }
        let now = configuration.wallClock()
        let quiet = configuration.compaction.quietTime
        return ordinary.filter {
            $0.thinning < SegmentStanding.thinningLimit && now >= $0.entry.latestArrival
                && now - $0.entry.latestArrival >= quiet
        }.min {
            ($0.thinning, $0.entry.latestArrival, $0.entry.id) < ($1.thinning, $1.entry.latestArrival, $1.entry.id)
        }
    }

    /// A segment of pinned traces with one that is not pinned any more.
    private func nextDemotion(_ segments: [StoredSegment], _ state: inout CompactionState) -> StoredSegment? {
        let pinned = segments.filter { $0.retentionClass == .pinned }
        let pins = shared.withLock { $0.pins }
        let ids = pinned.map(\.entry.id)
        guard ids != state.demotedSegments || pins != state.demotedPins else { return nil }
        for segment in pinned {
            let held = pins.marks.keys.filter { key in
                guard segment.reader.footer.filter.mayContain(key.traceID.high, key.traceID.low) else { return false }
                return (try? segment.reader.extent(of: key.traceID, tenant: key.tenant)) != .some(nil)
            }
            if UInt64(held.count) < segment.reader.summary.traceCount { return segment }
        }
        state.demotedSegments = ids
        state.demotedPins = pins
        return nil
    }

    private func hasRoom(for inputs: [StoredSegment]) -> Bool {
        guard !inputs.isEmpty else { return false }
        do {
            let space = try disk.space()
            // A rewrite alone removes more than it writes: what is reserved is there for it.
            let reserve = inputs.count == 1 ? 0 : configuration.watermarks(of: space).hard
            return space.freeBytes >= inputs.reduce(reserve) { $0 &+ $1.entry.byteCount }
        } catch { return false }
    }

    func sorting(of work: CompactionWork) -> TraceSorting {
        let ids = Set(work.inputs.map(\.entry.id))
        return shared.withLock { shared in
            var sorting = TraceSorting()
            sorting.inputClass = work.inputs.first?.retentionClass ?? .mixed
            sorting.separates = shared.retention.separates
            sorting.slow = shared.retention.slowThreshold
            sorting.pins = shared.pins
            sorting.tombstones = shared.tombstones
            sorting.others = shared.segments.filter { !ids.contains($0.entry.id) }
            sorting.heads = [shared.active] + shared.sealing.map(\.head)
            if work.halves { sorting.halving = work.inputs.reduce(0) { max($0, $1.thinning) } }
            return sorting
        }
    }
}
