import SpanPipeline
import Telemetry
import Testing

private func span(
    _ id: UInt64, _ parent: UInt64?, _ start: UInt64, _ duration: UInt64, on host: String, service: String? = nil,
    kind: SpanKind = .internal, marks: SpanMarks = []
) -> SpanRecord {
    let name = service ?? host
    let attributes = host.isEmpty ? [] : [Attribute("host.name", .string(host))]
    return SpanRecord(
        traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), parentID: parent.map { SpanID($0) }, name: "n",
        kind: kind.rawValue, start: start, end: start + duration, marks: marks,
        resource: Resource(attributes: attributes, serviceName: name))
}

private func corrections(_ spans: [SpanRecord]) -> [Int64] { ClockSkew(spans, tree: TraceTree(spans)).corrections }

@Suite struct ClockSkewTests {
    @Test("A span that fits, or that runs on its parent's host, says nothing")
    func nothing() {
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 20, 50, on: "b")]) == [0, 0])
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 10, 100, on: "b")]) == [0, 0])
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 0, 50, on: "a")]) == [0, 0])
        // Longer than its parent: it may go on after its caller gave up.
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 20, 150, on: "b")]) == [0, 0])
        #expect(corrections([]) == [])
    }

    @Test("Jaeger's own cases: put into the middle, or not before the parent")
    func jaeger() {
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 0, 50, on: "b")]) == [0, 35])
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 80, 50, on: "b")]) == [0, -45])
        #expect(corrections([span(1, nil, 10, 100, on: "a"), span(2, 1, 0, 150, on: "b")]) == [0, 10])
    }

    @Test("What follows on the same host shares its offset; the way back needs none")
    func chains() {
        let spans = [
            span(1, nil, 1_000, 100, on: "a"), span(2, 1, 6_010, 80, on: "b"), span(3, 2, 6_020, 60, on: "b"),
            span(4, 3, 1_025, 20, on: "a"), span(5, 3, 6_030, 20, on: "c"),
        ]
        // c has b's clock: it fits under b's times as they are.
        #expect(corrections(spans) == [0, -5_000, -5_000, 0, -5_000])
        let offsets = ClockSkew(spans, tree: TraceTree(spans)).offsets
        #expect(offsets.map(\.service) == ["b"])
        #expect(offsets.first?.ahead == 5_000 && offsets.first?.parentHost == "a" && offsets.first?.spanCount == 1)
    }

    @Test("Messages are taken later; spans without a start say nothing")
    func messages() {
        let producer = span(1, nil, 100, 10, on: "a", kind: .producer)
        #expect(corrections([producer, span(2, 1, 500, 5, on: "b", kind: .consumer)]) == [0, 0])
        #expect(corrections([producer, span(2, 1, 60, 5, on: "b", kind: .consumer)]) == [0, 40])
        #expect(
            corrections([span(1, nil, 100, 10, on: "a"), span(2, 1, 5, 5, on: "b", marks: .noStart)]) == [0, 0])
    }

    @Test("Hosts that are not named: one process is one clock, two are compared")
    func unnamed() {
        #expect(
            corrections([span(1, nil, 10, 100, on: "", service: "s"), span(2, 1, 0, 50, on: "", service: "s")])
                == [0, 0])
        #expect(
            corrections([span(1, nil, 10, 100, on: "", service: "s"), span(2, 1, 0, 50, on: "", service: "t")])
                == [0, 35])
    }

    @Test("Zipkin's halves of a call: the server half under the client half, hosts by address")
    func halves() {
        func half(_ kind: SpanKind, _ start: UInt64, _ length: UInt64, _ address: String) -> SpanRecord {
            var half = span(7, nil, start, length, on: "", service: address, kind: kind)
            if kind == .server { half.marks = .shared }
            half.attributes = [Attribute("network.local.address", .string(address))]
            return half
        }
        let spans = [half(.client, 1_000, 100, "10.0.0.1"), half(.server, 500, 60, "10.0.0.2")]
        #expect(corrections(spans) == [0, 520])
        let offset = ClockSkew(spans, tree: TraceTree(spans)).offsets.first
        #expect(offset?.ahead == -520 && offset?.host == "10.0.0.2" && offset?.parentHost == "10.0.0.1")
    }

    @Test("No times overflow", arguments: 0..<300)
    func extremes(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func roll() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let times: [UInt64] = [0, 1, 1 << 62, 1 << 63, .max - 1, .max, roll(), roll()]
        func time() -> UInt64 { times[Int(roll() % 8)] }
        let spans = (0..<20).map { index in
            var made = span(UInt64(index + 1), roll() % 22, 0, 0, on: "h\(roll() % 3)")
            (made.start, made.end) = (time(), time())
            return made
        }
        let skew = ClockSkew(spans, tree: TraceTree(spans))
        #expect(skew.corrections.count == 20)
        _ = skew.offsets
    }
}
