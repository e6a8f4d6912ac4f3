internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Classes: who is kept longer, what goes first, and what thinning leaves.
struct ClassTests {
    private let tenant = BatchOrigin.defaultTenant
    private static let second: UInt64 = 1_000_000_000

    private func id(_ low: UInt64) -> TraceID { TraceID(high: 5, low: low) }

    private func span(_ trace: UInt64, _ number: UInt64, error: Bool = false, slow: Bool = false) -> SpanRecord {
        var record = SpanRecord(
            traceID: id(trace), spanID: SpanID(number), name: "GET /", kind: 2, start: 1_000,
            end: 1_000 + (slow ? Self.second : 5))
        record.status = error ? 2 : 0
        return record
    }

    private func fixture(
        _ classes: [RetentionClass: ClassBudget], age: UInt64? = nil, bytes: UInt64 = .max, fanIn: Int = 2
    ) -> StoreFixture {
        StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.fanIn = fanIn
            configuration.compaction.quietTime = 0
            configuration.retention = RetentionPolicy(age: age, bytes: bytes)
            configuration.retention.classes = classes
        }
    }

    private func put(_ fixture: StoreFixture, _ spans: [SpanRecord]) {
        fixture.commit([SpanBatch(origin: BatchOrigin(arrival: fixture.clock.now), records: spans)])
        fixture.store?.sealNow()
    }

    private func ids(_ fixture: StoreFixture) throws -> Set<UInt64> {
        let store = try #require(fixture.store)
        return Set(try StoreFixture.spans(of: store, tenant: tenant).map(\.spanID.value))
    }

    /// Class -> span ids, of the files.
    private func files(_ fixture: StoreFixture) throws -> [RetentionClass: Set<UInt64>] {
        var result: [RetentionClass: Set<UInt64>] = [:]
        for path in fixture.disk.paths where path.hasPrefix("segments/") {
            let reader = try SegmentReader(file: try fixture.disk.open(path), name: path)
            try reader.allSpans { (_, records) throws(SegmentError) in
                result[reader.identity.standing.retentionClass, default: []].formUnion(records.map(\.spanID.value))
                return true
            }
        }
        return result
    }

    @Test func nothingIsSortedWithoutRules() throws {
        let fixture = fixture([:])
        let store = try fixture.open()
        put(fixture, [span(1, 1), span(2, 2, error: true)])
        put(fixture, [span(1, 3, slow: true)])
        #expect(store.compactStep())
        #expect(try files(fixture) == [.mixed: [1, 2, 3]])
    }

    @Test func mergesSortByTheWorstSpanOfATrace() throws {
        let fixture = fixture([.error: ClassBudget(age: .max)])
        let store = try fixture.open()
        put(fixture, [span(1, 1), span(2, 2), span(3, 3, slow: true), span(4, 4)])
        put(fixture, [span(2, 5, error: true), span(4, 6), span(3, 7, error: true), span(5, 8, slow: true)])
        #expect(store.compactStep())
        #expect(try files(fixture) == [.ordinary: [1, 4, 6], .slow: [8], .error: [2, 5, 3, 7]])
        #expect(store.ledgerTerms.live == 8 && store.ledgerTerms.balanced)
        fixture.disk = fixture.disk.crash(.powerLoss)
        #expect(try fixture.open().ledgerTerms.live == 8)
        #expect(try ids(fixture) == Set(1...8))
    }

    @Test func aLateSpanMovesItsTraceAtTheNextMerge() throws {
        let fixture = fixture([.error: ClassBudget(age: .max)])
        let store = try fixture.open()
        put(fixture, [span(1, 1), span(2, 2)])
        put(fixture, [span(2, 3), span(3, 4)])
        while store.compactStep() {}
        put(fixture, [span(1, 5, error: true)])
        put(fixture, [span(4, 6)])
        while store.compactStep() {}
        #expect(try files(fixture) == [.ordinary: [2, 3, 4, 6], .error: [1, 5]])
    }

    @Test func aTraceOverManyBlocksHasOneClass() throws {
        for isLast in [true, false] {
            let fixture = StoreFixture { configuration in
                configuration.headBytes = 1 << 30
                configuration.compaction.fanIn = 4
                configuration.compaction.blockSpans = 4
                configuration.retention.classes = [.error: ClassBudget(age: .max)]
            }
            let store = try fixture.open()
            for round in 0..<4 as Range<UInt64> {
                var spans = (0..<40 as Range<UInt64>).map { span(7, round * 100 + $0) }
                for index in spans.indices { spans[index].start += UInt64(index) }
                spans.append(span(9, round * 100 + 99, error: true))
                if round == 3, isLast {
                    spans[39].status = 2
                    spans[39].end = spans[39].start + 1
                }
                put(fixture, spans)
            }
            while store.compactStep() {}
            let found = try files(fixture)
            #expect(found[.error]?.count == (isLast ? 164 : 4) && store.ledgerTerms.live == 164)
            #expect(found[.ordinary]?.count == (isLast ? nil : 160))
        }
    }

    @Test func eachClassExpiresAtItsOwnAge() throws {
        let fixture = fixture(
            [.error: ClassBudget(age: 3_000 * Self.second), .slow: ClassBudget(age: 2_000 * Self.second)],
            age: 1_000 * Self.second)
        let store = try fixture.open()
        store.applyRetention(now: fixture.clock.now)
        put(fixture, [span(1, 1), span(2, 2, slow: true), span(3, 3, error: true), span(4, 4)])
        try store.pin(id(4), tenant: tenant)
        for (seconds, left) in [(900, [1, 2, 3, 4]), (200, [2, 3, 4]), (1_000, [3, 4]), (1_000, [4])]
            as [(UInt64, Set<UInt64>)]
        {
            fixture.clock.advance(seconds: seconds)
            // One look asks for sorting, the next one removes.
            for _ in 0..<2 {
                store.applyRetention(now: fixture.clock.now)
                while store.compactStep() {}
            }
            store.applyRetention(now: fixture.clock.now)
            #expect(try ids(fixture) == left, "after \(seconds) s more")
            #expect(store.ledgerTerms.balanced && store.ledgerTerms.expired == 4 - UInt64(left.count))
        }
        try store.unpin(id(4), tenant: tenant)
        while store.compactStep() {}
        store.applyRetention(now: fixture.clock.now)
        while store.compactStep() {}
        store.applyRetention(now: fixture.clock.now)
        #expect(try ids(fixture).isEmpty && store.ledgerTerms.expired == 4 && store.ledgerTerms.balanced)
    }

    @Test func aClassBeyondItsBytesLosesItsOldestAndNoOther() throws {
        let fixture = fixture([.error: ClassBudget(bytes: 2_500)], fanIn: 100)
        let store = try fixture.open()
        for round in 0..<6 as Range<UInt64> {
            put(fixture, [span(round * 2, round * 2), span(round * 2 + 1, round * 2 + 1, error: true)])
            fixture.clock.advance(seconds: 1)
        }
        // Of its own accord nothing is sorted here: merges are far off. Age makes it happen.
        #expect(try files(fixture) == [.mixed: Set(0...11)])
        store.setRetention(
            {
                var policy = RetentionPolicy(age: 1, bytes: .max)
                policy.classes = [.error: ClassBudget(age: .max, bytes: 2_500), .ordinary: ClassBudget(age: .max)]
                return policy
            }())
        fixture.clock.advance(seconds: 1)
        store.applyRetention(now: fixture.clock.now)
        while store.compactStep() { store.applyRetention(now: fixture.clock.now) }
        store.applyRetention(now: fixture.clock.now)
        let found = try files(fixture)
        #expect(found[.ordinary] == [0, 2, 4, 6, 8, 10])
        let errors = try #require(found[.error])
        #expect(!errors.isEmpty && errors.count < 6 && errors.contains(11) && !errors.contains(1))
        #expect(store.ledgerTerms.expired == 6 - UInt64(errors.count) && store.ledgerTerms.balanced)
    }

    @Test func theLowestClassGoesFirstAndPinsNever() throws {
        let fixture = fixture([.error: ClassBudget(age: .max)])
        let store = try fixture.open()
        put(fixture, (0..<40 as Range<UInt64>).map { span($0, $0, error: $0 % 2 == 0) })
        put(fixture, [span(100, 100)])
        try store.pin(id(3), tenant: tenant)
        while store.compactStep() {}
        #expect(try files(fixture).keys.count == 3)
        var policy = RetentionPolicy(bytes: store.ledgerTerms.bytesOnDisk - 10)
        policy.classes = [.error: ClassBudget(age: .max)]
        store.setRetention(policy)
        store.applyRetention(now: fixture.clock.now)
        #expect(try files(fixture).keys.sorted { $0.rawValue < $1.rawValue } == [.error, .pinned])
        policy.bytes = 1
        store.setRetention(policy)
        store.applyRetention(now: fixture.clock.now)
        #expect(try files(fixture) == [.pinned: [3]])
        #expect(store.ledgerTerms.balanced && store.ledgerTerms.expired == 40)
    }

    @Test func thinningHalvesWholeTracesAndKeepsTheSum() throws {
        let fixture = StoreFixture { configuration in
            configuration.headBytes = 1 << 30
            configuration.compaction.quietTime = 60 * Self.second
            configuration.retention = RetentionPolicy(bytes: .max)
            configuration.retention.classes = [.ordinary: ClassBudget(bytes: 1 << 30)]
        }
        let store = try fixture.open()
        let traces: UInt64 = 6_000
        // Every 50th has an error; three spans each, in three batches of one head.
        for part in 0..<3 as Range<UInt64> {
            let spans = (0..<traces).map { span($0, $0 * 3 + part + 1, error: $0 % 50 == 0 && part == 1) }
            fixture.commit([SpanBatch(origin: BatchOrigin(arrival: fixture.clock.now), records: spans)])
        }
        store.sealNow()
        #expect(!store.compactStep(), "there is room")
        var policy = fixture.configuration.retention
        policy.classes = [.ordinary: ClassBudget(bytes: store.ledgerTerms.segmentBytes)]
        store.setRetention(policy)
        #expect(!store.compactStep(), "late spans may still come")
        fixture.clock.advance(seconds: 61)
        for halvings in 1...4 {
            if halvings > 1 {
                policy.classes = [.ordinary: ClassBudget(bytes: 1_000)]
                store.setRetention(policy)
            }
            #expect(store.compactStep())
            let spans = try StoreFixture.spans(of: store, tenant: tenant)
            let byTrace = Dictionary(grouping: spans, by: \.traceID)
            #expect(byTrace.values.allSatisfy { $0.count == 3 && Set($0.map(\.weight)).count == 1 })
            let weights = byTrace.values.compactMap { $0.first?.weight }
            #expect(weights.filter { $0 == 1 }.count == 120, "errors are not thinned")
            #expect(Set(weights) == [1, Double(1 << halvings)])
            let sum = weights.reduce(0, +)
            #expect(abs(sum - Double(traces)) < Double(traces) * 0.02 * Double(1 << halvings), "\(sum) of \(traces)")
            let terms = store.ledgerTerms
            #expect(terms.thinned == traces * 3 - UInt64(spans.count) && terms.balanced)
        }
        let left = store.ledgerTerms
        fixture.disk = fixture.disk.crash(.powerLoss)
        let again = try fixture.open()
        #expect(again.ledgerTerms.thinned == left.thinned && again.ledgerTerms.live == left.live)
        #expect(again.ledgerTerms.balanced && again.ledgerTerms.stored == traces * 3)
    }

    @Test func aTraceThatIsElsewhereTooIsNotThinned() throws {
        let fixture = fixture([.ordinary: ClassBudget(bytes: 1)], fanIn: 100)
        let store = try fixture.open()
        put(fixture, (0..<64 as Range<UInt64>).map { span($0, $0 + 1) })
        fixture.commit([
            SpanBatch(
                origin: BatchOrigin(arrival: fixture.clock.now), records: (0..<32).map { span($0, $0 + 101) })
        ])
        #expect(store.compactStep())
        let found = Set(try StoreFixture.spans(of: store, tenant: tenant).map(\.spanID.value))
        #expect(found.isSuperset(of: Set(1...32)) && found.isSuperset(of: Set(101...132)))
        #expect(store.ledgerTerms.thinned > 8 && store.ledgerTerms.thinned < 24 && store.ledgerTerms.balanced)
    }

    @Test func aRepeatOfAThinnedSpanIsMergedWithItsWeight() throws {
        let fixture = fixture([.ordinary: ClassBudget(bytes: 1)])
        let store = try fixture.open()
        let spans = (0..<64 as Range<UInt64>).map { span($0, $0 + 1) }
        put(fixture, spans)
        #expect(store.compactStep())
        let kept = try StoreFixture.spans(of: store, tenant: tenant)
        #expect(kept.allSatisfy { $0.weight == 2 } && kept.count > 16 && kept.count < 48)
        store.setRetention(RetentionPolicy(bytes: .max))
        put(fixture, spans.filter { span in kept.contains { $0.spanID == span.spanID } })
        put(fixture, [span(999, 999)])
        while store.compactStep() {}
        put(fixture, [span(998, 998)])
        while store.compactStep() {}
        let found = try StoreFixture.spans(of: store, tenant: tenant)
        #expect(store.ledgerTerms.balanced)
        #expect(found.count >= kept.count + 2)
    }
}
