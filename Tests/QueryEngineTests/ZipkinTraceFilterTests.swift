import QueryEngine
import Telemetry
import Testing

private func span(
    _ service: String, _ name: String, id: UInt64, parent: UInt64? = nil, start: UInt64 = 1_000,
    duration: UInt64 = 100, tags: [Attribute] = [], events: [String] = [], status: UInt8 = 0
) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), parentID: parent.map { SpanID($0) }, name: name,
        start: start, end: start + duration, status: status, attributes: tags,
        events: events.map { SpanEvent(time: start, name: $0) }, resource: Resource(serviceName: service))
}

private let trace = [
    span("Web", "GET /Buy", id: 1, start: 1_000, duration: 900, tags: [Attribute("http.method", .string("GET"))]),
    span(
        "web", "pay", id: 2, parent: 1, start: 1_100, duration: 50, tags: [Attribute("peer.service", .string("Bank"))]),
    span(
        "stock", "deduct", id: 3, parent: 1, start: 900, duration: 300, tags: [Attribute("sku", .int(7))],
        events: ["reserved"], status: 2),
]

@Suite struct ZipkinTraceFilterTests {
    @Test("Each condition may be met by a different span of the service")
    func matching() {
        func matches(_ change: (inout ZipkinTraceFilter) -> Void) -> Bool {
            var filter = ZipkinTraceFilter()
            change(&filter)
            return filter.matches(trace)
        }
        #expect(matches { _ in })
        #expect(matches { $0.service = "WEB" })
        #expect(!matches { $0.service = "bank" })
        #expect(matches { $0.spanName = "get /buy" })
        #expect(
            matches {
                $0.service = "web"; $0.spanName = "pay"; $0.terms = [.init("http.method", "GET")]
            })
        #expect(
            !matches {
                $0.service = "web"; $0.spanName = "deduct"
            })
        #expect(matches { $0.remoteService = "bank" })
        #expect(
            !matches {
                $0.service = "stock"; $0.remoteService = "bank"
            })
        #expect(matches { $0.terms = [.init("sku", "7"), .init("reserved", nil), .init("http.method", nil)] })
        #expect(!matches { $0.terms = [.init("sku", "8")] })
        #expect(!matches { $0.terms = [.init("reserved", "x")] })
        #expect(matches { $0.terms = [.init("error", nil)] })
        #expect(
            !matches {
                $0.service = "web"; $0.terms = [.init("error", nil)]
            })
        #expect(matches { $0.minDuration = 900 })
        #expect(!matches { $0.minDuration = 901 })
        #expect(
            !matches {
                $0.service = "stock"; $0.minDuration = 301
            })
        #expect(
            matches {
                $0.service = "stock"; $0.minDuration = 300; $0.maxDuration = 300
            })
        #expect(
            !matches {
                $0.minDuration = 901; $0.maxDuration = 10_000
            })
        #expect(matches { $0.window = 1_000...1_000 }, "the root's time counts, not the earliest span's")
        #expect(!matches { $0.window = 900...999 })
    }

    @Test("Without a root the earliest span tells the time")
    func rootless() {
        var filter = ZipkinTraceFilter()
        filter.window = 900...900
        #expect(filter.matches(Array(trace.dropFirst())))
        #expect(!filter.matches([]))
    }

    @Test(
        "annotationQuery",
        arguments: [
            ("", []), ("error", [("error", nil)]), ("a=b and c", [("a", "b"), ("c", nil)]),
            (" a = b and  c ", [("a ", " b"), ("c", nil)]), ("a=1 and a=2", [("a", "2")]), ("a=b=c", [("a", "b=c")]),
            ("sand and band", [("sand", nil), ("band", nil)]), ("=x", []), ("a=", [("a", nil)]),
            ("é and ü=ö", [("é", nil), ("ü", "ö")]),
        ] as [(String, [(String, String?)])])
    func grammar(text: String, wanted: [(String, String?)]) {
        #expect(ZipkinTraceFilter.terms(of: text) == wanted.map { ZipkinTraceFilter.Term($0.0, $0.1) })
    }

    @Test("More than a hundred terms are refused")
    func tooMany() {
        #expect(ZipkinTraceFilter.terms(of: (0..<100).map { "t\($0)" }.joined(separator: " and "))?.count == 100)
        #expect(ZipkinTraceFilter.terms(of: (0..<101).map { "t\($0)" }.joined(separator: " and ")) == nil)
    }

    @Test("Every trace that matches is among the candidates", arguments: 0..<200)
    func candidates(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        var filter = ZipkinTraceFilter()
        filter.service = [nil, "web", "stock", "none"][dice.roll(4)]
        filter.spanName = [nil, nil, "pay", "deduct", "GET /BUY"][dice.roll(5)]
        filter.terms = [[], [], [.init("sku", "7")], [.init("reserved", nil)]][dice.roll(4)]
        if dice.roll(2) == 0 { filter.minDuration = UInt64(dice.roll(400)) }
        guard filter.matches(trace) else { return }
        let services = ["Web", "web", "stock"].filter { $0.lowercased() == filter.service }
        let operations = trace.map(\.name).filter { $0.lowercased() == filter.spanName?.lowercased() }
        let filters = filter.candidates(
            services: services, operations: operations, tenant: BatchOrigin.defaultTenant)
        #expect(filters.contains { candidate in trace.contains { candidate.matches($0) } }, "seed \(seed): \(filter)")
    }
}
