internal import Telemetry

/// The spans of one batch by trace. Its memory is used again for the next batch.
struct TraceParts {
    /// What a batch has of one trace.
    struct Part {
        var key: UInt64
        var spanCount: UInt32 = 0
        var hasError = false
        var hasSlowEntry = false
        var hasEntry = false
        /// Whether every entry span is fast.
        var isFast = true
        var isKept = true

        /// Of a trace that nothing else is known of.
        var spanClass: SpanClass {
            if hasError || hasSlowEntry { return .important }
            return hasEntry && isFast ? .fast : .ordinary
        }
    }

    var parts: [Part] = []
    /// The part of each span.
    private(set) var owners: [UInt32] = []
    /// Index of a part + 1, by key; zero: free. The size is a power of two.
    private var slots: [UInt32] = []

    mutating func gather(_ facts: [SpanFacts], seed: UInt64, _ profiles: inout LatencyProfiles) {
        // Room for a batch of the usual size is kept.
        let isUsual = facts.count <= 1 << 16
        parts.removeAll(keepingCapacity: isUsual)
        owners.removeAll(keepingCapacity: isUsual)
        clearSlots(for: facts.count, keepingCapacity: isUsual)
        var last = -1
        for span in facts {
            let key = span.traceKey(seed: seed)
            if last < 0 || parts[last].key != key { last = part(key) }
            owners.append(UInt32(truncatingIfNeeded: last))
            parts[last].spanCount += 1
            if span.isError { parts[last].hasError = true }
            guard span.isEntry else { continue }
            let (isSlow, isFast) = profiles.judge(span.duration, of: span.service)
            parts[last].hasEntry = true
            if isSlow { parts[last].hasSlowEntry = true }
            if !isFast { parts[last].isFast = false }
        }
    }

    private mutating func part(_ key: UInt64) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: key >> 8) & mask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if parts[index].key == key { return index }
            slot = (slot + 1) & mask
        }
        parts.append(Part(key: key))
        slots[slot] = UInt32(truncatingIfNeeded: parts.count)
        return parts.count - 1
    }

    private mutating func clearSlots(for count: Int, keepingCapacity isUsual: Bool) {
        var size = 64
        while size < 2 * count { size *= 2 }
        slots.removeAll(keepingCapacity: isUsual)
        slots.append(contentsOf: repeatElement(0, count: size))
    }
}
