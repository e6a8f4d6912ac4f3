import CrestClient
import Synchronization
import Testing
import Tracing

private struct Headers: Extractor, Injector {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
}

private struct Instant: TracerInstant {
    let nanosecondsSinceEpoch: UInt64
    static func < (left: Instant, right: Instant) -> Bool {
        left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
    }
}

private struct Broken: Error {}

@Suite struct CrestTracerTests {
    /// Keeps the bodies it is given.
    private final class Recorded: SpanTransport {
        private let bodies = Mutex<[[UInt8]]>([])
        var all: [UInt8] { bodies.withLock { $0.flatMap { $0 } } }

        func post(_ body: [UInt8]) async -> ExportOutcome {
            bodies.withLock { $0.append(body) }
            return .reply(status: 200, retryAfter: nil, rejectedSpans: 0)
        }

        func shutdown() async {}
    }

    private func run(limits: SpanLimits = SpanLimits(), _ body: (CrestTracer) async throws -> Void) async rethrows
        -> [UInt8]
    {
        let recorded = Recorded()
        let exporter = OTLPExporter(.init(), transport: recorded, policy: RetryPolicy())
        let counter = Counter()
        let numbers = IdentifierSource { counter.next() }
        try await body(
            CrestTracer(exporter.recorder(for: Resource(serviceName: "test")), ids: numbers, limits: limits))
        await exporter.shutdown(within: .seconds(10))
        return recorded.all
    }

    private final class Counter: Sendable {
        private let value = Atomic<UInt64>(0)
        func next() -> UInt64 { value.wrappingAdd(1, ordering: .relaxed).newValue }
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard bytes.count >= part.count else { return false }
        return (0...(bytes.count - part.count)).contains { bytes[$0..<$0 + part.count] == part[...] }
    }

    @Test("A child carries its parent's trace and span id")
    func parents() async {
        _ = await run { tracer in
            let root = tracer.startSpan("root", context: .topLevel, ofKind: .server)
            let child = tracer.startSpan("child", context: root.context)
            #expect(root.context.crestTrace?.traceID == child.context.crestTrace?.traceID)
            #expect(root.context.crestTrace?.spanID != child.context.crestTrace?.spanID)
            child.end()
            root.end()
            #expect(!root.isRecording)
        }
    }

    @Test("Start, end, kind, status and attributes of every type arrive in the request")
    func content() async {
        let bytes = await run { tracer in
            let span = tracer.startSpan(
                "work", context: .topLevel, ofKind: .producer, at: Instant(nanosecondsSinceEpoch: 0x11), function: "",
                file: "", line: 0)
            span.operationName = "renamed"
            span.attributes["a"] = "text"
            span.attributes["b"] = true
            span.attributes["c"] = Int32(-1)
            span.attributes["d"] = 2.5
            span.attributes["e"] = [Int64(1), 2]
            span.attributes["f"] = ["x"]
            span.setStatus(SpanStatus(code: .error, message: "broke"))
            span.end(at: Instant(nanosecondsSinceEpoch: 0x22))
        }
        #expect(contains(bytes, [0x2A, 7] + Array("renamed".utf8) + [0x30, 4]))
        #expect(contains(bytes, [0x39, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x41, 0x22, 0, 0, 0, 0, 0, 0, 0]))
        #expect(contains(bytes, [0x0A, 1, 0x61, 0x12, 6, 0x0A, 4] + Array("text".utf8)))
        #expect(contains(bytes, [0x0A, 1, 0x62, 0x12, 2, 0x10, 1]))
        #expect(contains(bytes, [0x0A, 1, 0x63, 0x12, 11, 0x18] + [UInt8](repeating: 255, count: 9) + [1]))
        #expect(contains(bytes, [0x0A, 1, 0x64, 0x12, 9, 0x21, 0, 0, 0, 0, 0, 0, 4, 0x40]))
        #expect(contains(bytes, [0x0A, 1, 0x65, 0x12, 10, 0x2A, 8, 0x0A, 2, 0x18, 1, 0x0A, 2, 0x18, 2]))
        #expect(contains(bytes, [0x0A, 1, 0x66, 0x12, 7, 0x2A, 5, 0x0A, 3, 0x0A, 1, 0x78]))
        #expect(contains(bytes, [0x7A, 9, 0x12, 5] + Array("broke".utf8) + [0x18, 2]))
    }

    @Test("Errors and events are recorded, links lead to the other trace, and nothing changes after the end")
    func eventsAndLinks() async {
        let bytes = await run { tracer in
            let other = tracer.startSpan("other", context: .topLevel)
            let span = tracer.startSpan("work", context: .topLevel)
            span.addEvent(SpanEvent(name: "cache miss", at: Instant(nanosecondsSinceEpoch: 7)))
            span.recordError(Broken(), attributes: [:], at: Instant(nanosecondsSinceEpoch: 8))
            span.addLink(SpanLink(context: other.context, attributes: [:]))
            span.addLink(SpanLink(context: .topLevel, attributes: [:]))
            span.setStatus(SpanStatus(code: .ok))
            span.setStatus(SpanStatus(code: .error, message: "too late"))
            span.end(at: Instant(nanosecondsSinceEpoch: 1))
            span.addEvent("after the end")
            span.attributes["late"] = true
            span.end()
        }
        #expect(contains(bytes, [0x5A, 21, 0x09, 7, 0, 0, 0, 0, 0, 0, 0, 0x12, 10] + Array("cache miss".utf8)))
        #expect(contains(bytes, Array("exception.message".utf8)))
        #expect(contains(bytes, Array("Broken".utf8)))
        #expect(contains(bytes, [0x6A, 28, 0x0A, 16]))
        #expect(contains(bytes, [0x7A, 2, 0x18, 1]))
        #expect(!contains(bytes, Array("after the end".utf8)))
        #expect(!contains(bytes, Array("late".utf8)))
    }

    @Test("What is beyond a limit is left out and counted")
    func limits() async {
        var limits = SpanLimits()
        limits.attributes = 2
        limits.events = 1
        limits.links = 0
        let bytes = await run(limits: limits) { tracer in
            let other = tracer.startSpan("other", context: .topLevel)
            let span = tracer.startSpan("work", context: .topLevel)
            for key in ["a", "b", "c", "d", "e"] { span.attributes[key] = "v" }
            for name in ["one", "two", "three"] { span.addEvent(SpanEvent(name: name)) }
            span.addLink(SpanLink(context: other.context, attributes: [:]))
            span.end()
        }
        #expect(contains(bytes, [0x50, 3, 0x5A]))
        #expect(contains(bytes, [0x60, 2, 0x70, 1]))
    }

    @Test("Context travels through headers, and a remote parent is marked")
    func headers() async {
        let bytes = await run { tracer in
            var context = ServiceContext.topLevel
            let sent = [
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "tracestate": "v=1",
            ]
            tracer.extract(sent, into: &context, using: Headers())
            #expect(context.crestTrace?.isRemote == true)
            let span = tracer.startSpan("work", context: context, ofKind: .server)
            var forwarded: [String: String] = [:]
            tracer.inject(span.context, into: &forwarded, using: Headers())
            let id = span.context.crestTrace.map { "\($0.spanID)" } ?? ""
            #expect(forwarded["traceparent"] == "00-4bf92f3577b34da6a3ce929d0e0e4736-\(id)-00")
            #expect(forwarded["tracestate"] == "v=1")
            span.end()
        }
        #expect(contains(bytes, [0x22, 8, 0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]))
        #expect(contains(bytes, [0x85, 0x01, 0x00, 0x03, 0, 0]))
    }

    @Test("Without a valid header nothing is extracted, outside a trace nothing is injected")
    func noHeaders() async {
        _ = await run { tracer in
            var context = ServiceContext.topLevel
            for header in [[:], ["traceparent": "nonsense"], ["tracestate": "a=b"]] as [[String: String]] {
                tracer.extract(header, into: &context, using: Headers())
                #expect(context.crestTrace == nil)
            }
            var carrier: [String: String] = [:]
            tracer.inject(.topLevel, into: &carrier, using: Headers())
            #expect(carrier.isEmpty)
        }
    }

    @Test("withSpan nests by the task's context and records a thrown error")
    func nesting() async {
        let bytes = await run { tracer in
            do {
                try await tracer.withSpan("outer") { outer in
                    try await tracer.withSpan("inner") { inner in
                        await Task.yield()
                        #expect(inner.context.crestTrace?.traceID == outer.context.crestTrace?.traceID)
                        throw Broken()
                    }
                }
            } catch {
                #expect(error is Broken)
            }
        }
        #expect(contains(bytes, Array("inner".utf8)) && contains(bytes, Array("outer".utf8)))
        #expect(contains(bytes, Array("exception".utf8)))
    }
}
