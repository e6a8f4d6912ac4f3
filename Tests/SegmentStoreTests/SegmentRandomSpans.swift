import Telemetry

/// SplitMix64: one seed, one run.
struct SegmentRandom: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }
}

/// Random spans of every shape: few or many keys, all value types, odd times, parents in, out of and after their place.
struct SegmentRandomSpans {
    var random: SegmentRandom
    var keyCount = 12
    var traceCount = 10
    private var traces: [TraceID] = []
    private var spanIDs: [SpanID] = []

    init(seed: UInt64) { random = SegmentRandom(seed) }

    mutating func batches(_ count: Int, spans: Int, tenants: [String] = ["default"]) -> [SpanBatch] {
        traces = (0..<traceCount).map { _ in
            TraceID(high: random.chance(30) ? 0 : random.next(), low: random.next() | 1)
        }
        spanIDs = (0..<20).map { _ in SpanID(random.next() | 1) }
        return (0..<count).map { index in
            let records = (0..<(spans == 0 ? 0 : 1 + random.below(spans))).map { _ in span() }
            let origin = BatchOrigin(tenant: random.pick(tenants), arrival: 1_000_000 &+ UInt64(index) * 7_919)
            return SpanBatch(origin: origin, records: records)
        }
    }

    private mutating func text() -> String {
        switch random.below(8) {
        case 0: ""
        case 1: "é\u{1F600}"
        case 2: String(repeating: "long ", count: random.below(60))
        case 3: String(random.next(), radix: 36)
        case 4: "\u{212A}"
        default: random.pick(["a", "b", "GET", "/checkout", "true", "42", "1.5", "K"])
        }
    }

    private mutating func time() -> UInt64 {
        switch random.below(20) {
        case 0: 0
        case 1: .max
        case 2: random.next()
        default: 1_790_000_000_000_000_000 &+ UInt64(random.below(5_000_000_000))
        }
    }

    private mutating func value(_ depth: Int = 0) -> AttributeValue {
        switch random.below(depth < 3 ? 14 : 10) {
        case 0: .empty
        case 1: .bool(random.chance(50))
        case 2: .int(Int64(random.below(5)))
        case 3: .int(Int64(bitPattern: random.next()))
        case 4: .double(random.pick([0, -0.0, 1, 1.5, 42, .infinity, -.infinity, 1e300, 0.1]))
        case 5: .bytes((0..<random.below(5)).map { _ in UInt8(random.below(256)) })
        case 10, 11: .array((0..<random.below(4)).map { _ in value(depth + 1) })
        case 12, 13: .map((0..<random.below(4)).map { Attribute("k\($0)", value(depth + 1)) })
        default: .string(text())
        }
    }

    mutating func attributes(_ most: Int) -> [Attribute] {
        (0..<random.below(most + 1)).map { _ in Attribute("key.\(random.below(keyCount))", value()) }
    }

    private mutating func span() -> SpanRecord {
        let start = time()
        var span = SpanRecord(
            traceID: random.pick(traces), spanID: random.chance(50) ? random.pick(spanIDs) : SpanID(random.next() | 1),
            name: text(), start: start, end: random.chance(90) ? start &+ UInt64(random.below(1_000_000)) : time())
        if random.chance(70) { span.parentID = random.chance(80) ? random.pick(spanIDs) : SpanID(random.next() | 1) }
        span.kind = UInt8(random.chance(95) ? random.below(6) : random.below(256))
        span.status = UInt8(random.chance(95) ? random.below(3) : random.below(256))
        if random.chance(20) { span.statusMessage = text() }
        if random.chance(10) { span.traceState = text() }
        span.flags = random.chance(80) ? 257 : UInt32(truncatingIfNeeded: random.next())
        span.attributes = attributes(8)
        if random.chance(25) {
            span.events = (0..<random.below(4)).map { _ in
                SpanEvent(
                    time: time(), name: text(), attributes: attributes(3),
                    droppedAttributes: UInt32(random.below(2)))
            }
        }
        if random.chance(15) {
            span.links = (0..<random.below(4)).map { _ in
                SpanLink(
                    traceID: TraceID(high: random.next(), low: random.next()), spanID: SpanID(random.next()),
                    traceState: text(), flags: UInt32(random.below(300)), attributes: attributes(3),
                    droppedAttributes: UInt32(random.below(2)))
            }
        }
        if random.chance(10) { span.droppedAttributes = UInt32(truncatingIfNeeded: random.next()) }
        if random.chance(10) { span.droppedEvents = UInt32(random.below(9)) }
        if random.chance(10) { span.droppedLinks = UInt32(random.below(9)) }
        if random.chance(10) { span.marks = SpanMarks(rawValue: UInt16(random.below(64))) }
        if random.chance(10) { span.weight = Double(1 + random.below(100)) / 3 }
        let service = random.pick(["order", "stock", "", "K", "\u{212A}"])
        span.resource = Resource(
            attributes: random.chance(50) ? [Attribute("service.name", .string(service))] : attributes(4),
            droppedAttributes: UInt32(random.below(2)), schemaURL: text(), serviceName: service)
        span.scope = Scope(
            name: random.pick(["", "lib", "http"]), version: random.pick(["", "1.0"]), schemaURL: text(),
            attributes: random.chance(20) ? attributes(3) : [], droppedAttributes: UInt32(random.below(2)))
        return span
    }
}
