internal import QueryEngine
internal import Telemetry
internal import TestKit
internal import Testing

/// What every store promises, checked alike on the one in memory, which is the definition, and on the segment store in
/// each place in which its spans may lie. `told` is what the store was told, `now` how the plain definition answers.
struct ContractTests {
    private static let tenants = ["default", "shop-b"]

    /// A store that has been told random things, and the same in memory.
    private struct Told {
        let store: any ContractStore
        let model = MemoryStore()
        var random: SeededRandom
        var spans: SpanGenerator

        init(_ kind: StoreKind, _ seed: UInt64) throws {
            store = try kind.make()
            random = SeededRandom(seed: seed)
            spans = SpanGenerator(seed: seed &+ 1_000)
        }

        /// Batches for both tenants, repeated deliveries among them, with time passing in between.
        mutating func append(_ batches: Int) throws {
            var before: [SpanBatch] = []
            for number in 0..<batches {
                var batch = spans.batch(
                    1 + random.below(40), tenant: random.pick(ContractTests.tenants), arrival: UInt64(number + 1))
                if random.oneIn(5), let earlier = before.last { batch = earlier }
                before.append(batch)
                store.append(batch)
                model.append(batch)
                try store.pass(&random)
            }
        }

        /// Ids that are there, and one that is not.
        mutating func ids(_ count: Int, tenant: String) -> [TraceID] {
            let known = Array(Set(model.records(tenant).map(\.traceID))).sorted()
            return (0..<count).map { _ in random.pick(known) } + [TraceID(high: 99, low: 99)]
        }
    }

    @Test(
        "Every acknowledged span is found by its trace's id, whole, and only by its own tenant",
        arguments: StoreKind.allCases, [1, 2] as [UInt64])
    func traces(kind: StoreKind, seed: UInt64) throws {
        var told = try Told(kind, seed)
        try told.append(14)
        let engine = QueryEngine(source: told.store.source)
        let model = QueryEngine(source: told.model)
        for tenant in Self.tenants {
            let ids = Set(told.model.records(tenant).map(\.traceID))
            #expect(!ids.isEmpty)
            for id in ids {
                let wanted = try model.trace(id, tenant: tenant, budget: QueryBudget())
                #expect(try engine.trace(id, tenant: tenant, budget: QueryBudget()) == wanted, "seed \(seed)")
            }
        }
        let nowhere = try engine.trace(TraceID(high: 99, low: 99), tenant: "default", budget: QueryBudget())
        let foreign = try engine.trace(told.ids(1, tenant: "default")[0], tenant: "nobody", budget: QueryBudget())
        #expect(nowhere == nil && foreign == nil)
    }

    @Test(
        "A search gives the traces that the definition gives, page by page, in both orders",
        arguments: StoreKind.allCases, [3, 4] as [UInt64])
    func searches(kind: StoreKind, seed: UInt64) throws {
        var told = try Told(kind, seed)
        told.spans.traceCount = 60
        try told.append(14)
        for _ in 0..<25 {
            let filter = Self.filter(&told.random)
            for order in TraceOrder.allCases {
                let limit = told.random.pick([1, 5, 1_000])
                let found = try Self.pages(told.store.source, filter, order, limit)
                #expect(
                    try found == Self.pages(told.model, filter, order, 1_000),
                    "seed \(seed) \(filter) \(order) \(limit)")
            }
        }
    }

    @Test("Services and operations are sorted, each once, of one tenant", arguments: StoreKind.allCases)
    func catalog(kind: StoreKind) throws {
        var told = try Told(kind, 5)
        try told.append(10)
        for tenant in Self.tenants + ["nobody"] {
            let services = told.store.source.services(tenant: tenant)
            #expect(services == told.model.services(tenant: tenant))
            for service in services.map(Optional.some) + [nil, "unknown"] {
                let operations = told.store.source.operations(service: service, tenant: tenant)
                #expect(operations == told.model.operations(service: service, tenant: tenant))
            }
        }
    }

    @Test(
        "A deletion hides what is there, of one tenant, and nothing that comes later",
        arguments: StoreKind.allCases, [6, 7] as [UInt64])
    func deletions(kind: StoreKind, seed: UInt64) throws {
        var told = try Told(kind, seed)
        for _ in 0..<4 {
            try told.append(4)
            let tenant = told.random.pick(Self.tenants)
            guard !told.model.records(tenant).isEmpty else { continue }
            let ids = told.ids(3, tenant: tenant)
            #expect(try told.store.delete(ids, tenant: tenant) == told.model.delete(ids, tenant: tenant))
            let engine = QueryEngine(source: told.store.source)
            for id in ids { #expect(try engine.trace(id, tenant: tenant, budget: QueryBudget()) == nil) }
            try told.store.pass(&told.random)
        }
        for tenant in Self.tenants {
            var everything = SpanFilter()
            everything.tenant = tenant
            let wanted = try Self.pages(told.model, everything, .newestFirst, 1_000)
            #expect(try Self.pages(told.store.source, everything, .newestFirst, 7) == wanted, "seed \(seed)")
        }
    }

    @Test(
        "A snapshot of parts does not change under what comes after it",
        arguments: StoreKind.allCases.filter { $0 != .restarted && $0 != .mixed })
    func snapshots(kind: StoreKind) throws {
        var told = try Told(kind, 8)
        try told.append(6)
        let parts = told.store.source.parts()
        let before = try Self.contents(parts)
        let ids = told.ids(4, tenant: "default")
        _ = try told.store.delete(ids, tenant: "default")
        try told.append(6)
        #expect(try Self.contents(parts) == before)
    }

    @Test("Times and counts of parts cover their spans, and extents are exact", arguments: StoreKind.allCases)
    func extents(kind: StoreKind) throws {
        var told = try Told(kind, 9)
        try told.append(12)
        for tenant in Self.tenants {
            var everything = SpanFilter()
            everything.tenant = tenant
            for part in told.store.source.parts() {
                var count = 0
                for extent in try part.extents(matching: everything, budget: QueryBudget()) {
                    let spans = try part.spans(of: extent.traceID, tenant: tenant, budget: QueryBudget())
                    count += spans.count
                    #expect(spans.allSatisfy { part.starts.contains($0.start) })
                    #expect(extent.start == spans.map(\.start).min() && extent.end == spans.map(\.end).max())
                    #expect(try part.extent(of: extent.traceID, tenant: tenant) == extent)
                }
                #expect(count <= part.spanCount)
            }
        }
    }

    @Test("A search that may use nothing stops and says so", arguments: StoreKind.allCases)
    func budgets(kind: StoreKind) throws {
        var told = try Told(kind, 10)
        try told.append(6)
        let engine = QueryEngine(source: told.store.source)
        #expect(throws: ReadError.stopped(.bytes(limit: 0))) {
            try engine.search([SpanFilter()], limit: 5, budget: QueryBudget(bytes: 0))
        }
        let cancelled = QueryBudget()
        cancelled.cancel()
        #expect(throws: ReadError.stopped(.cancelled)) {
            try engine.search([SpanFilter()], limit: 5, budget: cancelled)
        }
    }

    private static func contents(_ parts: [any SpanPart]) throws -> [[SpanRecord]] {
        try parts.map { part in
            var spans: [SpanRecord] = []
            for extent in try part.extents(matching: SpanFilter(), budget: QueryBudget()).sorted(by: {
                $0.traceID < $1.traceID
            }) {
                spans += try part.spans(of: extent.traceID, tenant: "default", budget: QueryBudget())
            }
            return spans
        }
    }

    private static func pages(
        _ source: any SpanSource, _ filter: SpanFilter, _ order: TraceOrder, _ limit: Int
    ) throws -> [TraceExtent] {
        let engine = QueryEngine(source: source)
        var found: [TraceExtent] = []
        var key: TraceOrder.Key?
        repeat {
            let page = try engine.search([filter], order: order, limit: limit, after: key, budget: QueryBudget())
            found += page.traces
            key = page.next
        } while key != nil && found.count < 10_000
        return found
    }

    private static func filter(_ random: inout SeededRandom) -> SpanFilter {
        let shapes = SpanGenerator(seed: 0)
        var filter = SpanFilter()
        filter.tenant = random.pick(tenants)
        if random.oneIn(3) { filter.service = random.pick(shapes.services + ["unknown"]) }
        if random.oneIn(4) { filter.operation = random.pick(shapes.operations) }
        if random.oneIn(5) { filter.kind = SpanKind(rawValue: UInt8(random.below(6))) }
        if random.oneIn(4) { filter.minDuration = UInt64(random.below(50_000_000)) }
        if random.oneIn(4) { filter.maxDuration = UInt64(random.below(50_000_000)) }
        if random.oneIn(4) { filter.earliestStart = shapes.base + UInt64(random.below(1_000_000_000)) }
        if random.oneIn(4) { filter.latestStart = shapes.base + UInt64(random.below(1_000_000_000)) }
        if random.oneIn(6) { filter.error = random.oneIn(2) }
        if random.oneIn(3) {
            let key = "\(random.pick(["http", "db", "user"])).\(random.below(3))"
            filter.tags = [SpanFilter.Tag(key, random.pick(["200", "true", "GET", nil]))]
        }
        return filter
    }
}
