package import Telemetry

/// Spans with everything in them that a span can have, from a seed.
package struct SpanGenerator: Sendable {
    package var random: SeededRandom
    package var services = ["gateway", "order", "stock", "payment", ""]
    package var operations = ["GET /cart", "POST /order", "reserve", "charge", "publish"]
    /// Ids of traces are drawn from this many; 0: every span has a new one.
    package var traceCount = 20
    /// Unix nanoseconds around which spans start.
    package var base: UInt64 = 1_700_000_000_000_000_000

    package init(seed: UInt64) { random = SeededRandom(seed: seed) }

    package mutating func span() -> SpanRecord {
        let number = traceCount == 0 ? random.next() : UInt64(random.below(traceCount)) + 1
        let start = base + UInt64(random.below(1_000_000_000))
        let service = random.pick(services)
        var span = SpanRecord(
            traceID: TraceID(high: random.oneIn(3) ? 0 : 7, low: number), spanID: SpanID(random.next() | 1),
            parentID: random.oneIn(4) ? nil : SpanID(random.next() | 1), name: random.pick(operations),
            kind: UInt8(random.below(6)), start: start, end: start + UInt64(random.below(50_000_000)))
        span.status = UInt8(random.below(3))
        span.statusMessage = random.oneIn(5) ? "declined" : ""
        span.traceState = random.oneIn(5) ? "vendor=1" : ""
        span.flags = UInt32(random.below(2))
        span.attributes = attributes(random.below(6))
        span.events = (0..<(random.oneIn(4) ? random.below(3) : 0)).map { _ in
            SpanEvent(
                time: start + 1, name: random.pick(["exception", "retry"]), attributes: attributes(2),
                droppedAttributes: UInt32(random.below(2)))
        }
        span.links = (0..<(random.oneIn(6) ? 1 : 0)).map { _ in
            SpanLink(
                traceID: TraceID(high: 0, low: random.next()), spanID: SpanID(random.next()), traceState: "a=b",
                attributes: attributes(1))
        }
        span.droppedAttributes = UInt32(random.below(2))
        span.resource = Resource(
            attributes: service.isEmpty ? [] : [Attribute("service.name", .string(service))] + attributes(1),
            schemaURL: random.oneIn(3) ? "https://example.org/schema" : "", serviceName: service)
        span.scope = Scope(name: random.pick(["http", "sql", ""]), version: "1.2", attributes: attributes(1))
        return span
    }

    package mutating func attributes(_ count: Int) -> [Attribute] {
        (0..<count).map { index in Attribute("\(random.pick(["http", "db", "user"])).\(index)", value()) }
    }

    private mutating func value() -> AttributeValue {
        switch random.below(9) {
        case 0: .empty
        case 1: .bool(random.oneIn(2))
        case 2: .int(Int64(random.below(5)) - 1)
        case 3: .double(Double(random.below(8)) / 4)
        case 4: .bytes([1, 2, UInt8(random.below(3))])
        case 5: .array([.string("x"), .int(Int64(random.below(3)))])
        case 6: .map([Attribute("k", .bool(true)), Attribute("n", .array([]))])
        default: .string(random.pick(["200", "true", "GET", "ünï", ""]))
        }
    }

    package mutating func spans(_ count: Int) -> [SpanRecord] { (0..<count).map { _ in span() } }

    package mutating func batch(
        _ count: Int, tenant: String = BatchOrigin.defaultTenant, arrival: UInt64 = 1
    ) -> SpanBatch {
        SpanBatch(origin: BatchOrigin(tenant: tenant, arrival: arrival), records: spans(count))
    }
}
