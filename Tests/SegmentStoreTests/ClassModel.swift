internal import SegmentStore
internal import Telemetry
internal import TestKit

/// A store with budgets for classes under random work, and what it must have kept of it.
///
/// Spans have ids that count up. A defect is a text; none: the store kept to everything.
final class ClassModel {
    struct Known {
        var trace: TraceID
        var arrival: UInt64
        var isError: Bool
    }

    static let second: UInt64 = 1_000_000_000
    static let errorAge = 4_000 * second
    static let ordinaryAge = 1_500 * second
    let tenant = BatchOrigin.defaultTenant
    let fixture: StoreFixture
    var random: SeededRandom
    private var generator: SpanGenerator
    private(set) var known: [UInt64: Known] = [:]
    /// Spans that must be found for as long as their trace is pinned.
    private(set) var pinned: [TraceID: Set<UInt64>] = [:]
    /// Traces whose pin was refused or cut off: either is right.
    private var doubtful: Set<TraceID> = []
    private var recent: [TraceID] = []
    private var missing: Set<UInt64> = []
    private var expired: UInt64 = 0
    private var nextSpan: UInt64 = 1
    private var nextTrace: UInt64 = 1
    private var acknowledged = 0

    /// - Parameter ordinaryBytes: nil: nothing is thinned.
    init(seed: UInt64, ordinaryBytes: UInt64?, ages: Bool = true, rules: FaultyDisk.Rules? = nil) {
        random = SeededRandom(seed: seed)
        generator = SpanGenerator(seed: seed &+ 1)
        fixture = StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = 2
            configuration.compaction.blockSpans = 8
            configuration.compaction.quietTime = 0
            configuration.retention = RetentionPolicy(age: ages ? 2_500 * Self.second : nil, bytes: .max)
            configuration.retention.classes = [
                .error: ClassBudget(age: ages ? Self.errorAge : .max),
                .ordinary: ClassBudget(age: ages ? Self.ordinaryAge : nil, bytes: ordinaryBytes),
            ]
        }
        fixture.rules = rules
    }

    // MARK: Work

    func step() {
        switch random.below(20) {
        case 0...7: ingest()
        case 8...10: fixture.store?.sealNow()
        case 11...14: fixture.store?.compactStep()
        case 15: pin(recent.isEmpty ? TraceID(high: 0, low: 1) : random.pick(recent))
        case 16: if let trace = pinned.keys.sorted().first, random.oneIn(2) { unpin(trace) }
        default:
            fixture.clock.advance(seconds: UInt64(random.below(120)))
            fixture.store?.applyRetention(now: fixture.clock.now)
        }
    }

    func ingest() {
        var records: [SpanRecord] = []
        for _ in 0..<1 + random.below(8) {
            var record = generator.span()
            if recent.isEmpty || random.oneIn(2) {
                recent.append(TraceID(high: UInt64(random.below(2)), low: nextTrace &* 0x9E37_79B9))
                nextTrace += 1
                if recent.count > 12 { recent.removeFirst() }
            }
            record.traceID = random.pick(recent)
            record.spanID = SpanID(nextSpan)
            nextSpan += 1
            record.status = random.oneIn(14) ? 2 : 1
            record.end = record.start + (random.oneIn(14) ? 2 * Self.second : 5_000_000)
            records.append(record)
        }
        let arrival = fixture.clock.now
        let before = fixture.receipts.count
        fixture.commit([SpanBatch(origin: BatchOrigin(arrival: arrival), records: records)])
        guard fixture.receipts.count > before else { return }
        acknowledged += records.count
        for record in records {
            let id = record.spanID.value
            known[id] = Known(trace: record.traceID, arrival: arrival, isError: record.status == 2)
            pinned[record.traceID]?.insert(id)
        }
    }

    func pin(_ trace: TraceID) {
        guard let store = fixture.store else { return }
        let here = (try? found(store)) ?? [:]
        do {
            try store.pin(trace, tenant: tenant)
            doubtful.remove(trace)
            let spans = known.filter { $0.value.trace == trace && here[$0.key] != nil }.keys
            pinned[trace, default: []].formUnion(spans)
        } catch {
            if error != .unknown { doubtful.insert(trace) }
        }
    }

    func unpin(_ trace: TraceID) {
        pinned[trace] = nil
        guard (try? fixture.store?.unpin(trace, tenant: tenant)) == true else {
            doubtful.insert(trace)
            return
        }
        doubtful.remove(trace)
    }

    /// Until there is nothing more to do; a store with a bug may never come to that.
    func compact() {
        for _ in 0..<60 where fixture.store?.compactStep() == true {}
    }

    // MARK: What must hold

    private func found(_ store: SegmentStore) throws -> [UInt64: Int] {
        var found: [UInt64: Int] = [:]
        for span in try StoreFixture.spans(of: store, tenant: tenant) { found[span.spanID.value, default: 0] += 1 }
        return found
    }

    /// - Parameter isExact: no stop fell between what was acknowledged and what is known here.
    func defect(isExact: Bool = true) -> String? {
        do {
            guard let store = fixture.store else { return "no store" }
            let terms = store.ledgerTerms
            if !terms.balanced || terms.lost > 0 || store.state != .ok { return "\(terms), \(store.state)" }
            let stored = Int(clamping: terms.stored)
            if isExact ? stored != acknowledged : stored < acknowledged {
                return "\(stored) stored in the ledger, \(acknowledged) acknowledged"
            }
            let found = try found(store)
            if let twice = found.first(where: { $0.value > 1 }) { return "span \(twice.key) is found twice" }
            if found.count != Int(clamping: terms.live) { return "\(found.count) spans found, \(terms.live) live" }
            return try pinDefect(store, found) ?? classDefect(found)
        } catch { return "\(error)" }
    }

    private func pinDefect(_ store: SegmentStore, _ found: [UInt64: Int]) throws -> String? {
        let listed = Set(store.pins(tenant: tenant).map(\.traceID))
        for (trace, spans) in pinned {
            if doubtful.contains(trace) { continue }
            if !listed.contains(trace) { return "the pin of \(trace.hex32) is gone" }
            let gone = spans.filter { found[$0] == nil }
            if !gone.isEmpty { return "\(gone.count) spans of a pinned trace are gone" }
        }
        let unknown = listed.subtracting(pinned.keys).subtracting(doubtful)
        return unknown.isEmpty ? nil : "\(unknown.count) traces are pinned that should not be"
    }

    private func classDefect(_ found: [UInt64: Int]) -> String? {
        let now = fixture.clock.now
        let age = fixture.configuration.retention.classes[.error]?.age ?? .max
        for (id, span) in known where span.isError && now - span.arrival <= age && found[id] == nil {
            return "error span \(id) is gone after \((now - span.arrival) / Self.second) s"
        }
        return nil
    }

    /// Looks for traces of which a part went since the last look, and not by retention: thinning takes them whole.
    func wholeTraceDefect() throws -> String? {
        guard let store = fixture.store else { return nil }
        let found = try found(store)
        let gone = known.keys.filter { found[$0] == nil && !missing.contains($0) }
        missing.formUnion(gone)
        let before = expired
        expired = store.ledgerTerms.expired
        if expired > before { return nil }
        let cut = Set(gone.compactMap { known[$0]?.trace })
        for id in found.keys {
            if let trace = known[id]?.trace, cut.contains(trace) {
                return "trace \(trace.hex32) lost \(gone.count) spans"
            }
        }
        return nil
    }

    /// Looks into the files: nothing is in a segment of a class below its own.
    func fileDefect() throws -> String? {
        guard let store = fixture.store else { return nil }
        let pins = Set(store.pins(tenant: tenant).map(\.traceID))
        for path in fixture.disk.paths where path.hasSuffix(".seg") && path.hasPrefix("segments/") {
            let reader = try SegmentReader(file: try fixture.disk.open(path), name: path)
            let kind = reader.identity.standing.retentionClass
            var spans: [SpanRecord] = []
            try reader.allSpans { (_, records) throws(SegmentError) in
                spans += records
                return true
            }
            for span in spans {
                let isSlow = span.end - span.start >= Self.second
                switch kind {
                case .ordinary where span.status == 2 || isSlow: return "span \(span.spanID) in \(path), \(kind)"
                case .slow where span.status == 2: return "span \(span.spanID) in \(path), \(kind)"
                case .pinned where !pins.contains(span.traceID): return "\(span.traceID.hex32) is not pinned: \(path)"
                default: continue
                }
            }
        }
        return nil
    }
}
