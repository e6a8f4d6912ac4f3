package import Telemetry

/// Where shed spans still are: what came in, shared and not copied where that can be.
package enum ShedSource: Sendable {
    case rows(SpanBatch)
    /// An OTLP request in protobuf form that was only looked over.
    case otlp([UInt8], BatchOrigin)

    var byteCount: Int {
        switch self {
        case .rows(let batch): batch.byteCount
        case .otlp(let body, _): body.count
        }
    }
}

/// Spans that were shed and are wanted after all.
package struct Rescue: Sendable {
    package let source: ShedSource
    /// The spans of `source` that were shed, wanted or not.
    package let shed: SpanSelection
    /// Of the traces that are wanted; see ``SpanFacts/traceKey(seed:)``.
    package fileprivate(set) var keys: Set<UInt64>
    package fileprivate(set) var spanCount: Int
    /// With which the keys were made.
    package let seed: UInt64
}

/// Keeps spans for a short while after they were shed, in case their trace turns out to be important.
///
/// Bounded in bytes and time; the oldest goes first. A source counts with all its bytes, also where most of it was taken.
struct RegretRing {
    /// The spans of one trace in one entry.
    private struct Held {
        let key: UInt64
        /// Zero when they were rescued.
        var count: UInt32
        /// The number of the entry before this one that has spans of the trace; none when that is gone.
        let previous: Int
    }

    private struct Entry {
        let source: ShedSource
        let shed: SpanSelection
        let seed: UInt64
        let bytes: Int
        let deadline: UInt64
        var held: [Held]

        var spanCount: Int { held.reduce(0) { $0 + Int($1.count) } }
    }

    private static let entryBytes = 256
    private static let heldBytes = 80

    private let byteLimit: Int
    private let lifetime: UInt64
    private var entries: [Entry?] = []
    /// How many entries of `entries` are gone, and the number of its first one.
    private var gone = 0
    private var firstNumber = 0
    /// The newest entry of each trace.
    private var newest: [UInt64: Int] = [:]
    private(set) var byteCount = 0

    init(byteLimit: Int, lifetime: UInt64) {
        self.byteLimit = byteLimit
        self.lifetime = lifetime
    }

    /// Adds what was shed of a source.
    /// - Returns: the spans that are gone for good because of it: older ones, or these when they can never fit.
    mutating func add(
        _ source: ShedSource, _ shed: SpanSelection, seed: UInt64, traces: [(key: UInt64, count: UInt32)], now: UInt64
    ) -> Int {
        let spanCount = traces.reduce(0) { $0 + Int($1.count) }
        let bytes = source.byteCount + Self.entryBytes + Self.heldBytes * traces.count + shed.count / 8
        guard bytes <= byteLimit else { return spanCount }
        var lost = expire(now: now)
        while byteCount + bytes > byteLimit, gone < entries.count { lost += removeFirst() }
        let number = firstNumber + entries.count
        let held = traces.map { trace in
            Held(key: trace.key, count: trace.count, previous: newest.updateValue(number, forKey: trace.key) ?? -1)
        }
        entries.append(
            Entry(source: source, shed: shed, seed: seed, bytes: bytes, deadline: now &+ lifetime, held: held))
        byteCount += bytes
        return lost
    }

    /// Forgets what is too old. Returns how many spans are gone for good.
    mutating func expire(now: UInt64) -> Int {
        var lost = 0
        while gone < entries.count, let entry = entries[gone], entry.deadline <= now { lost += removeFirst() }
        return lost
    }

    /// Forgets everything. Returns how many spans are gone for good.
    mutating func removeAll() -> Int {
        var lost = 0
        while gone < entries.count { lost += removeFirst() }
        return lost
    }

    /// Takes out all spans of traces. One result for each entry that has some.
    mutating func take(_ keys: [UInt64]) -> [Rescue] {
        var rescues: [Int: Rescue] = [:]
        for key in keys {
            guard var number = newest.removeValue(forKey: key) else { continue }
            while number >= firstNumber + gone, let taken = take(key, from: number - firstNumber) {
                let entry = taken.entry
                var rescue =
                    rescues[number]
                    ?? Rescue(source: entry.source, shed: entry.shed, keys: [], spanCount: 0, seed: entry.seed)
                rescue.keys.insert(key)
                rescue.spanCount += taken.count
                rescues[number] = rescue
                number = taken.previous
            }
        }
        return rescues.keys.sorted().compactMap { rescues[$0] }
    }

    private mutating func take(_ key: UInt64, from index: Int) -> (entry: Entry, count: Int, previous: Int)? {
        guard entries.indices.contains(index), let entry = entries[index],
            let place = entry.held.firstIndex(where: { $0.key == key })
        else { return nil }
        let held = entry.held[place]
        entries[index]?.held[place].count = 0
        return (entry, Int(held.count), held.previous)
    }

    private mutating func removeFirst() -> Int {
        guard let entry = entries[gone] else { return 0 }
        let number = firstNumber + gone
        for held in entry.held where newest[held.key] == number { newest[held.key] = nil }
        byteCount -= entry.bytes
        entries[gone] = nil
        gone += 1
        if gone >= 64, gone * 2 >= entries.count {
            entries.removeFirst(gone)
            firstNumber += gone
            gone = 0
        }
        return entry.spanCount
    }
}
