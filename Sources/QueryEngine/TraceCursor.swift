package import Telemetry

/// The traces of a search, one by one, in order and with exact extents.
///
/// Newest first reads parts lazily, the one with the latest starts first. A trace starts no later than any of its
/// spans, so a trace that has not been seen when `k` parts are read starts no later than the latest start of part
/// `k + 1`. What starts later than that bound is in its final place:
///
///     parts by latest start   | head ............ 12:05 | segment 9 ... 12:03 | segment 8 ... 12:01 |
///     read: head              every trace that starts after 12:03 may be given out
///
/// Before a trace is given out its extent is merged with what every other part knows of it, matching or not; that may
/// move it back, and then it waits again. Longest first has no such bound and reads all parts at once.
package struct TraceCursor: Sendable {
    private let parts: [any SpanPart]
    private let filters: [SpanFilter]
    private let tenant: String
    private let after: TraceOrder.Key?
    private let order: TraceOrder
    private let budget: QueryBudget
    private var readParts = 0
    private var candidates: [TraceID: Candidate] = [:]
    private var queue: TraceHeap

    /// What is known of a trace so far.
    private struct Candidate: Sendable {
        var extent: TraceExtent
        /// Bit per part, for the first 64, whose spans are in `extent`.
        var merged: UInt64
        /// All parts are in `extent`.
        var isExact = false
    }

    init(
        parts: [any SpanPart], filters: [SpanFilter], order: TraceOrder, after: TraceOrder.Key?, budget: QueryBudget
    ) throws(ReadError) {
        self.parts = parts.sorted { $0.starts.upperBound > $1.starts.upperBound }
        self.filters = filters
        self.tenant = filters.first?.tenant ?? BatchOrigin.defaultTenant
        self.order = order
        self.after = after
        self.budget = budget
        self.queue = TraceHeap()
        budget.plan.begin(parts: parts.count)
        guard order == .longestFirst else { return }
        while readParts < self.parts.count { try readNextPart() }
        try resolveAll()
    }

    /// The next trace, or nil at the end.
    package mutating func next() throws(ReadError) -> TraceExtent? {
        while true {
            guard let first = queue.first else {
                guard readParts < parts.count else { return nil }
                try readNextPart()
                continue
            }
            if order == .newestFirst, readParts < parts.count, first.value <= bound(of: parts[readParts]) {
                try readNextPart()
                continue
            }
            queue.removeFirst()
            guard let candidate = candidates[first.traceID] else { continue }
            if candidate.isExact {
                if let after, !after.precedes(first) { continue }
                return candidate.extent
            }
            if let after, staysBefore(after, candidate) { continue }
            let exact = try resolve(candidate)
            candidates[first.traceID] = exact
            queue.insert(order.key(of: exact.extent))
        }
    }

    /// No trace that shows up first in this part starts later.
    private func bound(of part: any SpanPart) -> UInt64 {
        let latest = filters.map { $0.latestStart ?? .max }.max() ?? .max
        return min(part.starts.upperBound, latest)
    }

    private func overlaps(_ part: any SpanPart, _ filter: SpanFilter) -> Bool {
        let earliest = filter.earliestStart ?? 0
        let latest = filter.latestStart ?? .max
        return earliest <= part.starts.upperBound && part.starts.lowerBound <= latest
    }

    private mutating func readNextPart() throws(ReadError) {
        let index = readParts
        let part = parts[index]
        readParts += 1
        let bit: UInt64 = index < 64 ? 1 << UInt64(index) : 0
        let wanted = filters.filter { overlaps(part, $0) }
        budget.plan.notePart(searched: !wanted.isEmpty)
        for filter in wanted {
            let extents = try part.extents(matching: filter, budget: budget)
            try charge(extents.count * 160, to: budget)
            for extent in extents { note(extent, bit) }
        }
    }

    private mutating func note(_ extent: TraceExtent, _ bit: UInt64) {
        guard var known = candidates[extent.traceID] else {
            candidates[extent.traceID] = Candidate(extent: extent, merged: bit)
            // The queue's key is an upper bound until the candidate is exact.
            if order == .newestFirst { queue.insert(order.key(of: extent)) }
            return
        }
        guard !known.isExact else { return }
        known.extent.merge(extent)
        known.merged |= bit
        candidates[extent.traceID] = known
    }

    /// Whether an inexact candidate surely lies on an earlier page: nothing left to merge reaches back to the key.
    private func staysBefore(_ key: TraceOrder.Key, _ candidate: Candidate) -> Bool {
        guard order == .newestFirst, candidate.extent.start > key.value else { return false }
        for (index, part) in parts.enumerated() where !isMerged(index, candidate) {
            if part.starts.lowerBound <= key.value { return false }
        }
        return true
    }

    private func isMerged(_ index: Int, _ candidate: Candidate) -> Bool {
        index < 64 && candidate.merged >> UInt64(index) & 1 == 1
    }

    private func resolve(_ candidate: Candidate) throws(ReadError) -> Candidate {
        var exact = candidate
        try charge(0, to: budget)
        for (index, part) in parts.enumerated() where !isMerged(index, candidate) {
            if let extent = try part.extent(of: candidate.extent.traceID, tenant: tenant) {
                exact.extent.merge(extent)
            }
        }
        exact.isExact = true
        return exact
    }

    /// Makes every candidate exact. A part that knows few traces compared with the candidates is asked for all of
    /// its traces at once instead of once a candidate.
    private mutating func resolveAll() throws(ReadError) {
        var everything = SpanFilter()
        everything.tenant = tenant
        for (index, part) in parts.enumerated() {
            if part.spanCount / 16 <= candidates.count {
                let extents = try part.extents(matching: everything, budget: budget)
                try charge(extents.count * 32, to: budget)
                for extent in extents { candidates[extent.traceID]?.extent.merge(extent) }
                continue
            }
            for (traceID, candidate) in candidates where !isMerged(index, candidate) {
                try charge(0, to: budget)
                guard let extent = try part.extent(of: traceID, tenant: tenant) else { continue }
                candidates[traceID]?.extent.merge(extent)
            }
        }
        for (traceID, candidate) in candidates {
            candidates[traceID]?.isExact = true
            let key = order.key(of: candidate.extent)
            if after?.precedes(key) ?? true { queue.insert(key) }
        }
    }
}
