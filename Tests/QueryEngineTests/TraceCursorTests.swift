import QueryEngine
import Telemetry
import TestKit
import Testing

/// Random spans of few traces, with many equal times, scattered over parts without any order.
private func randomParts(_ dice: inout Dice) -> [MemoryPart] {
    var parts = Array(repeating: [SpanRecord](), count: 1 + dice.roll(6))
    let timeScale = [3, 20, 1_000][dice.roll(3)]
    for index in 0..<(1 + dice.roll(120)) {
        let start = UInt64(100 + dice.roll(timeScale))
        let record = SpanRecord(
            traceID: TraceID(high: UInt64(dice.roll(2)), low: UInt64(1 + dice.roll(25))),
            spanID: SpanID(UInt64(index + 1)), name: "op\(dice.roll(3))", kind: UInt8(dice.roll(6)), start: start,
            end: start + UInt64(dice.roll(timeScale)), status: UInt8(dice.roll(3)),
            resource: Resource(serviceName: "s\(dice.roll(3))"))
        let part = dice.roll(2) == 0 ? Int(start) * parts.count / (200 + timeScale) : dice.roll(parts.count)
        parts[min(part, parts.count - 1)].append(record)
    }
    return parts.filter { !$0.isEmpty }.map { MemoryPart($0) }
}

private func randomFilter(_ dice: inout Dice) -> SpanFilter {
    var filter = SpanFilter()
    if dice.roll(3) == 0 { filter.service = "s\(dice.roll(4))" }
    if dice.roll(4) == 0 { filter.operation = "op\(dice.roll(3))" }
    if dice.roll(4) == 0 { filter.minDuration = UInt64(dice.roll(15)) }
    if dice.roll(4) == 0 { filter.earliestStart = UInt64(100 + dice.roll(60)) }
    if dice.roll(4) == 0 { filter.latestStart = UInt64(100 + dice.roll(60)) }
    if dice.roll(6) == 0 { filter.error = dice.roll(2) == 0 }
    return filter
}

/// What a search must give: from all spans at once.
private func expected(_ parts: [MemoryPart], _ filters: [SpanFilter], _ order: TraceOrder) -> [TraceExtent] {
    let all = MemoryPart(parts.flatMap(\.records))
    let ids = Set(all.records.filter { record in filters.contains { $0.matches(record) } }.map(\.traceID))
    return ids.compactMap { all.extent(of: $0, tenant: BatchOrigin.defaultTenant) }
        .sorted { order.key(of: $0).precedes(order.key(of: $1)) }
}

@Suite struct TraceCursorTests {
    @Test("Pages of any size, in both orders, are the naive list", arguments: 0..<60)
    func pagesMatchModel(seed: Int) throws {
        var dice = Dice(seed: UInt64(seed))
        let parts = randomParts(&dice)
        let engine = QueryEngine(source: MemoryStore(parts))
        for _ in 0..<3 {
            let filters = (0..<(1 + dice.roll(2))).map { _ in randomFilter(&dice) }
            for order in TraceOrder.allCases {
                let wanted = expected(parts, filters, order)
                for limit in [1, 2, 7, 1_000] {
                    var pages: [TraceExtent] = []
                    var key: TraceOrder.Key?
                    repeat {
                        let page = try engine.search(
                            filters, order: order, limit: limit, after: key, budget: QueryBudget())
                        if limit == 7 {
                            let again = try engine.search(
                                filters, order: order, limit: limit, after: key, budget: QueryBudget())
                            #expect(page == again)
                        }
                        #expect(page.traces.count == limit || page.next == nil, "a page is short only at the end")
                        pages += page.traces
                        key = page.next
                    } while key != nil && pages.count <= wanted.count
                    #expect(pages == wanted, "seed \(seed), \(order), limit \(limit), \(filters)")
                }
            }
        }
    }

    @Test("More parts than bits in a candidate's mask")
    func manyParts() throws {
        let parts = (0..<150).map { part in
            let start = UInt64(1_000 + part * 10)
            return MemoryPart([
                SpanRecord(
                    traceID: TraceID(high: 0, low: UInt64(1 + part % 7)), spanID: SpanID(UInt64(part + 1)), name: "x",
                    start: start, end: start + 5)
            ])
        }
        let engine = QueryEngine(source: MemoryStore(parts))
        for order in TraceOrder.allCases {
            let page = try engine.search([SpanFilter()], order: order, limit: 10, budget: QueryBudget())
            #expect(page.traces == expected(parts, [SpanFilter()], order))
        }
    }

    @Test("A first page reads only the parts it needs")
    func stopsEarly() throws {
        let counter = ReadCounter()
        let parts: [any SpanPart] = (0..<50).map { part in
            let start = UInt64(1_000_000 - part * 1_000)
            let record = SpanRecord(
                traceID: TraceID(high: 0, low: UInt64(part + 1)), spanID: SpanID(1), name: "x", start: start,
                end: start + 5)
            return CountingPart(inner: MemoryPart([record]), counter: counter)
        }
        let engine = QueryEngine(source: PartsSource(list: parts))
        let page = try engine.search([SpanFilter()], limit: 3, budget: QueryBudget())
        #expect(page.traces.map(\.traceID.low) == [1, 2, 3])
        #expect(page.next != nil)
        #expect(counter.count <= 5, "read \(counter.count) of 50 parts for three traces")
    }

    @Test("Budget, deadline and cancellation stop a search with their own error")
    func stops() throws {
        let record = SpanRecord(traceID: TraceID(high: 0, low: 1), spanID: SpanID(1), name: "x", start: 1, end: 2)
        let engine = QueryEngine(source: MemoryStore([MemoryPart([record])]))
        #expect(throws: ReadError.stopped(.bytes(limit: 0))) {
            try engine.search([SpanFilter()], limit: 1, budget: QueryBudget(bytes: 0))
        }
        #expect(throws: ReadError.stopped(.deadline)) {
            try engine.search([SpanFilter()], limit: 1, budget: QueryBudget(timeout: .seconds(-1)))
        }
        let cancelled = QueryBudget()
        cancelled.cancel()
        #expect(throws: ReadError.stopped(.cancelled)) {
            try engine.search([SpanFilter()], order: .longestFirst, limit: 1, budget: cancelled)
        }
        #expect(throws: ReadError.stopped(.cancelled)) {
            try engine.trace(TraceID(high: 0, low: 1), budget: cancelled)
        }
    }

    @Test("Another tenant's traces are not found")
    func tenants() throws {
        let record = SpanRecord(traceID: TraceID(high: 0, low: 1), spanID: SpanID(1), name: "x", start: 1, end: 2)
        let engine = QueryEngine(source: MemoryStore([MemoryPart([record], tenant: "other")]))
        #expect(try engine.search([SpanFilter()], limit: 1, budget: QueryBudget()).traces.isEmpty)
        #expect(try engine.trace(TraceID(high: 0, low: 1), budget: QueryBudget()) == nil)
        #expect(try engine.trace(TraceID(high: 0, low: 1), tenant: "other", budget: QueryBudget()) != nil)
    }
}
