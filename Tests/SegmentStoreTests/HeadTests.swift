internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// The head and sealed segments against the definition: `SpanFilter.matches` over all spans.
struct HeadTests {
    private func filter(_ random: inout SeededRandom) -> SpanFilter {
        var filter = SpanFilter()
        if random.oneIn(3) { filter.service = random.pick(["order", "stock", "nobody", ""]) }
        if random.oneIn(3) { filter.operation = random.pick(["reserve", "charge", "none"]) }
        if random.oneIn(4) { filter.kind = random.pick(SpanKind.allCases) }
        if random.oneIn(4) { filter.error = random.oneIn(2) }
        if random.oneIn(4) { filter.minDuration = UInt64(random.below(50_000_000)) }
        if random.oneIn(4) { filter.maxDuration = UInt64(random.below(50_000_000)) }
        if random.oneIn(4) { filter.earliestStart = 1_700_000_000_000_000_000 + UInt64(random.below(1_000_000_000)) }
        if random.oneIn(4) { filter.latestStart = 1_700_000_000_000_000_000 + UInt64(random.below(1_000_000_000)) }
        let keys = [
            "http.0", "db.1", "user.2", "service.name", "error", "span.kind", "otel.status_code", "otel.scope.name",
            "event", "missing",
        ]
        let values = [
            nil, "200", "true", "false", "GET", "ünï", "", "-1", "1", "0.25", "AQIA", "[\"x\",1]", "server", "ERROR",
            "OK", "http", "exception", "order", "01",
        ]
        for _ in 0..<random.below(3) { filter.tags.append(SpanFilter.Tag(random.pick(keys), random.pick(values))) }
        return filter
    }

    private func extents(_ spans: [SpanRecord], _ filter: SpanFilter) -> [TraceID: TraceExtent] {
        var all: [TraceID: TraceExtent] = [:]
        for span in spans {
            let own = TraceExtent(traceID: span.traceID, start: span.start, end: span.end)
            if all[span.traceID]?.merge(own) == nil { all[span.traceID] = own }
        }
        let wanted = Set(spans.filter(filter.matches).map(\.traceID))
        return all.filter { wanted.contains($0.key) }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func searchesAgreeWithTheDefinition(seed: UInt64) throws {
        let fixture = StoreFixture { $0.headBytes = 1 << 30 }
        var spans = SpanGenerator(seed: seed)
        spans.traceCount = 40
        let store = try fixture.open()
        fixture.commit((0..<8).map { _ in spans.batch(12) } + [spans.batch(5, tenant: "other")])
        for isSealed in [false, true] {
            if isSealed { store.sealNow() }
            let all = fixture.acknowledged[BatchOrigin.defaultTenant] ?? []
            for _ in 0..<60 {
                let filter = filter(&spans.random)
                var found: [TraceID: TraceExtent] = [:]
                for part in store.parts() {
                    for extent in try part.extents(matching: filter, budget: QueryBudget()) {
                        if found[extent.traceID]?.merge(extent) == nil { found[extent.traceID] = extent }
                    }
                }
                #expect(found == extents(all, filter), "seed \(seed), sealed \(isSealed), \(filter)")
            }
            for span in all.prefix(20) {
                let parts = store.parts()
                let read = try parts.flatMap {
                    try $0.spans(of: span.traceID, tenant: BatchOrigin.defaultTenant, budget: QueryBudget())
                }
                #expect(Set(read) == Set(all.filter { $0.traceID == span.traceID }))
            }
            let services = Set(all.map(\.serviceName)).subtracting([""]).sorted()
            #expect(store.services(tenant: BatchOrigin.defaultTenant) == services)
            #expect(store.services(tenant: "nobody") == [])
            let operations = Set(
                all.filter { $0.serviceName == "order" }.map {
                    Operation(name: $0.name, kind: SpanKind(rawValue: $0.kind) ?? .unspecified)
                })
            #expect(Set(store.operations(service: "order", tenant: BatchOrigin.defaultTenant)) == operations)
        }
    }

    @Test func aPartDoesNotChangeWhileHeld() throws {
        let fixture = StoreFixture { $0.headBytes = 1 << 30 }
        var spans = SpanGenerator(seed: 8)
        spans.traceCount = 3
        let store = try fixture.open()
        fixture.commit([spans.batch(10)])
        let before = store.parts()
        let filter = SpanFilter()
        let extents = try before.map { Set(try $0.extents(matching: filter, budget: QueryBudget())) }
        fixture.commit([spans.batch(10)])
        #expect(try before.map { Set(try $0.extents(matching: filter, budget: QueryBudget())) } == extents)
        #expect(before.reduce(0) { $0 + $1.spanCount } == 10)
        store.sealNow()
        #expect(try before.map { Set(try $0.extents(matching: filter, budget: QueryBudget())) } == extents)
        #expect(store.parts().reduce(0) { $0 + $1.spanCount } == 20)
    }

    @Test func aQueryStopsAtItsBudget() throws {
        let fixture = StoreFixture()
        var spans = SpanGenerator(seed: 8)
        let store = try fixture.open()
        fixture.commit([spans.batch(10)])
        #expect(throws: ReadError.stopped(.bytes(limit: 100))) {
            try store.parts()[0].extents(matching: SpanFilter(), budget: QueryBudget(bytes: 100))
        }
    }
}
