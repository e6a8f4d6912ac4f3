import Telemetry
import Testing

@Suite("Span batches")
struct SpanBatchTests {
    static let nested = AttributeValue.map([
        Attribute("list", .array([.int(-1), .double(2.5), .bool(true), .empty, .bytes([0, 255])])),
        Attribute("text", .string("naïve")),
    ])

    static func record(_ number: UInt64) -> SpanRecord {
        SpanRecord(
            traceID: TraceID(high: 7, low: number), spanID: SpanID(number), parentID: number > 1 ? SpanID(1) : nil,
            name: "op \(number)", kind: 2, start: 1_000 + number, end: 2_000 + number, status: 2,
            statusMessage: "broken", traceState: "a=b", flags: 257,
            attributes: [
                Attribute("s", .string("x")), Attribute("i", .int(.min)), Attribute("d", .double(-0.5)),
                Attribute("b", .bool(false)), Attribute("y", .bytes([1, 2, 3])), Attribute("e", .empty),
                Attribute("n", nested), Attribute("s", .string("again")),
            ],
            events: [
                SpanEvent(time: 1_500, name: "retry", attributes: [Attribute("n", .int(3))], droppedAttributes: 1)
            ],
            links: [SpanLink(traceID: TraceID(high: 0, low: 9), spanID: SpanID(8), traceState: "c=d", flags: 1)],
            droppedAttributes: 1, droppedEvents: 2, droppedLinks: 3, marks: [.shared], weight: 4,
            resource: Resource(
                attributes: [Attribute("service.name", .string("order"))], schemaURL: "r", serviceName: "order"),
            scope: Scope(name: "lib", version: "1", schemaURL: "s", attributes: [Attribute("k", .int(1))]),
            arrival: 42)
    }

    @Test("Row sizes are those of the format page")
    func sizes() {
        #expect(MemoryLayout<SpanRow>.size == 128 && MemoryLayout<SpanRow>.stride == 128)
        #expect(MemoryLayout<AttributeRow>.size == 16 && MemoryLayout<AttributeRow>.stride == 16)
        #expect(MemoryLayout<EventRow>.stride == 32 && MemoryLayout<LinkRow>.stride == 48)
        #expect(MemoryLayout<ResourceRow>.stride == 32 && MemoryLayout<ScopeRow>.stride == 40)
        #expect(MemoryLayout<ByteSlice>.stride == 8)
    }

    @Test("Records come back as they went in, resources and scopes shared")
    func roundTrip() throws {
        let records = (1...5).map { Self.record(UInt64($0)) }
        let batch = SpanBatch(origin: BatchOrigin(arrival: 42), records: records)
        try batch.validate()
        #expect(batch.resources.count == 1 && batch.scopes.count == 1)
        #expect(batch.spans.indices.map(batch.record) == records)
    }

    @Test("Thousands of distinct keys keep their own index")
    func manyKeys() {
        var builder = SpanBatchBuilder()
        let first = (0..<5_000).map { builder.key("key \($0)") }
        let second = (0..<5_000).map { builder.key("key \($0)") }
        #expect(first == second && Set(first).count == 5_000)
    }

    @Test("A batch that contradicts itself is refused, naming table and row")
    func validation() {
        let good = SpanBatch(origin: BatchOrigin(arrival: 1), records: [Self.record(1)])
        var spans = good.spans
        spans[0].eventCount = .max
        let bad = SpanBatch(
            origin: good.origin, spans: spans, attributes: good.attributes, events: good.events, links: good.links,
            scopes: good.scopes, resources: good.resources, keys: good.keys, arena: good.arena)
        #expect(throws: SpanBatchDefect(table: "spans", row: 0)) { try bad.validate() }
        let short = SpanBatch(
            origin: good.origin, spans: good.spans, attributes: good.attributes, events: good.events,
            links: good.links, scopes: good.scopes, resources: good.resources, keys: good.keys,
            arena: Array(good.arena.prefix(3)))
        #expect(throws: SpanBatchDefect.self) { try short.validate() }
    }

    @Test("Nested values: any cut is refused or shorter, never a trap; depth is bounded")
    func nestedValues() {
        guard case .map(let entries) = Self.nested else { return }
        let content = NestedValue.encode(map: entries)
        #expect(NestedValue.decode(.map, content: content) == Self.nested)
        for length in 0..<content.count {
            #expect(NestedValue.decode(.map, content: Array(content.prefix(length))) != Self.nested)
        }
        var deep = AttributeValue.array([])
        for _ in 0..<Limits.nestingDepth + 2 { deep = .array([deep]) }
        guard case .array(let elements) = deep else { return }
        #expect(NestedValue.decode(.array, content: NestedValue.encode(array: elements)) == nil)
    }
}
