import SegmentStore
import Telemetry
import Testing

/// Blocks that a search passes over by their value filter: never one with a match, and in the plain cases all others.
struct ValueFilterTests {
    /// Service, operation and a value: of one span, or put together from two.
    private static func filter(
        _ random: inout SegmentRandom, _ records: [(tenant: String, span: SpanRecord)]
    ) -> SpanFilter {
        let named = random.pick(records).span
        let valued = random.chance(60) ? named : random.pick(records).span
        var filter = SpanFilter()
        filter.service = random.chance(85) ? named.serviceName : nil
        filter.operation = random.chance(85) ? named.name : nil
        if random.chance(20) { filter.error = true }
        let lists = [valued.attributes, valued.resource.attributes, valued.events.first?.attributes ?? []]
        for _ in 0..<(1 + random.below(2)) {
            if let attribute = random.pick(lists).randomElement(using: &random) {
                filter.tags.append(SpanFilter.Tag(attribute.key, AttributeText.text(attribute.value)))
            } else {
                let event = valued.events.first.map { SpanFilter.Tag("event", $0.name) }
                filter.tags.append(event ?? SpanFilter.Tag("error", "true"))
            }
        }
        return filter
    }

    @Test(arguments: UInt64(300)..<330)
    func noMatchIsPassedOver(seed: UInt64) throws {
        var source = SegmentRandomSpans(seed: seed)
        source.traceCount = [5, 40][Int(seed % 2)]
        source.keyCount = seed % 6 == 0 ? 2_500 : 5
        let batches = source.batches(5, spans: 50)
        let records = SegmentRoundTripTests.expected(batches)
        for blockSpans in [8_192, 20, 2] {
            let reader = try openSegment(segmentBytes(batches, blockSpans: blockSpans).bytes)
            var random = SegmentRandom(seed)
            for _ in 0..<80 {
                let filter = Self.filter(&random, records)
                let found = try reader.extents(matching: filter, budget: QueryBudget())
                let wanted = SegmentSearchTests.expected(records, filter)
                #expect(Set(found) == wanted, "seed \(seed), blocks of \(blockSpans), \(filter)")
            }
        }
    }

    /// 200 traces of two spans: `read` with a number of its own, `write` with `color` red or blue.
    private static func shop() throws -> SegmentReader {
        let records = (0..<200).flatMap { number in
            ["read", "write"].map { name in
                let isRead = name == "read"
                return SpanRecord(
                    traceID: TraceID(high: UInt64(number) &* 0x9E37_79B9_7F4A_7C15, low: 7),
                    spanID: SpanID(isRead ? 1 : 2), name: name, kind: 2, start: 1_000, end: 1_250,
                    attributes: isRead
                        ? [Attribute("order", .int(Int64(number)))]
                        : [Attribute("color", .string(number % 2 == 0 ? "red" : "blue"))],
                    resource: Resource(
                        attributes: [Attribute("service.name", .string("shop"))], serviceName: "shop"))
            }
        }
        return try openSegment(
            segmentBytes([SpanBatch(origin: BatchOrigin(arrival: 1), records: records)], blockSpans: 20).bytes)
    }

    private static func search(
        _ tag: SpanFilter.Tag, operation: String? = nil
    ) throws -> (found: Int, counts: QueryPlan.Counts) {
        var filter = SpanFilter()
        filter.tags = [tag]
        if let operation { (filter.service, filter.operation) = ("shop", operation) }
        let budget = QueryBudget()
        let found = try shop().extents(matching: filter, budget: budget)
        return (found.count, budget.plan.counts)
    }

    @Test func aRareValueReadsItsBlockOnly() throws {
        for number in stride(from: 0, to: 200, by: 13) {
            let (found, counts) = try Self.search(SpanFilter.Tag("order", String(number)))
            #expect(found == 1)
            #expect(counts.blocks == 20)
            #expect(counts.blocksMatched == 1)
            #expect(counts.blocksReadInVain <= 2, "order \(number)")
            #expect(counts.blocksWithoutValues + counts.blocksReadInVain == 19)
        }
        #expect(try Self.search(SpanFilter.Tag("order", "200")).found == 0)
        #expect(try Self.search(SpanFilter.Tag("order", "200")).counts.blocksReadInVain <= 2)
    }

    @Test func aValueOnAnotherOperationReadsNothing() throws {
        let apart = try Self.search(SpanFilter.Tag("color", "red"), operation: "read")
        #expect(apart.found == 0)
        #expect(apart.counts.blocksReadInVain <= 2)
        let together = try Self.search(SpanFilter.Tag("color", "red"), operation: "write")
        #expect(together.found == 100)
        #expect(together.counts.blocksMatched == 20)
    }

    @Test func unknownNamesReadNothingAtAll() throws {
        let (found, counts) = try Self.search(SpanFilter.Tag("color", "red"), operation: "erase")
        #expect(found == 0)
        #expect(counts.partsWithoutNames == 1)
        #expect(counts.blocksWithoutNames == counts.blocks)
        #expect(counts.searchBytes == 0)
    }

    @Test(
        "Every stored form of a text is found",
        arguments: [
            ("42", AttributeValue.int(42)), ("42", .string("42")), ("42", .double(42)), ("-0", .double(-0.0)),
            ("nan", .double(.nan)), ("true", .bool(true)), ("true", .string("true")), ("", .empty),
            ("", .string("")), ("AQI=", .bytes([1, 2])), ("[1]", .array([.int(1)])), ("inf", .double(.infinity)),
            ("1e+300", .double(1e300)), ("K", .string("\u{212A}")), ("\u{212A}", .string("K")),
            ("e\u{301}", .string("\u{E9}")), ("\u{8C48}", .string("\u{F900}")),
            ("\u{8BA2}\u{5355}", .string("\u{8BA2}\u{5355}")),
        ])
    func forms(text: String, value: AttributeValue) throws {
        for place in 0..<3 {
            var record = SegmentExampleTests.record
            let attribute = Attribute("wanted", value)
            switch place {
            case 0: record.attributes = [attribute]
            case 1: record.resource.attributes.append(attribute)
            default: record.events = [SpanEvent(time: 1_100, name: "e", attributes: [attribute], droppedAttributes: 0)]
            }
            let reader = try openSegment(
                segmentBytes([SpanBatch(origin: BatchOrigin(arrival: 1), records: [record])]).bytes)
            var filter = SpanFilter()
            filter.tags = [SpanFilter.Tag("wanted", text)]
            (filter.service, filter.operation) = ("shop", "GET /")
            #expect(filter.matches(record))
            #expect(try reader.extents(matching: filter, budget: QueryBudget()).count == 1, "place \(place)")
        }
    }
}
