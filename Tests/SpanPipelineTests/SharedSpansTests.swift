import SpanPipeline
import Telemetry
import Testing

private func span(
    _ id: UInt64, _ parent: UInt64?, _ service: String = "s", kind: SpanKind = .unspecified, start: UInt64 = 1_000,
    duration: UInt64 = 10, marks: SpanMarks = [], attributes: [Attribute] = [], name: String = "n"
) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), parentID: parent.map { SpanID($0) }, name: name,
        kind: kind.rawValue, start: start, end: start + duration, attributes: attributes, marks: marks,
        resource: Resource(attributes: [Attribute("service.name", .string(service))], serviceName: service))
}

private func apart(_ spans: [SpanRecord]) -> [SpanRecord] { spans.withSharedSpansApart(TraceTree(spans)) }
private func merged(_ spans: [SpanRecord]) -> [SpanRecord] { spans.withPartsMerged(TraceTree(spans)) }

@Suite struct SharedSpansTests {
    @Test("Spans with ids of their own stay as they are")
    func untouched() {
        let spans = [span(1, nil), span(2, 1), span(3, 9)]
        #expect(apart(spans) == spans && merged(spans) == spans)
        #expect(apart([]) == [] && merged([]) == [])
    }

    @Test("A server half gets an id, always the same; its calls hang under it, the client half keeps the old one")
    func halves() {
        let spans = [
            span(1, nil, "front", kind: .client), span(1, nil, "back", kind: .server, marks: .shared),
            span(2, 1, "back", kind: .client), span(2, 1, "base", kind: .server),
        ]
        let found = apart(spans)
        #expect(found == apart(spans))
        #expect(Set(found.map(\.spanID)).count == 4)
        #expect(found[0] == spans[0])
        #expect(found[1].parentID == SpanID(1) && found[1].spanID != SpanID(1))
        #expect(found[2].parentID == found[1].spanID && found[2].spanID == SpanID(2))
        #expect(found[3].parentID == SpanID(2))
        let tree = TraceTree(found)
        #expect(tree.parents == [nil, 0, 1, 2] && !tree.hasRepeatedIDs)
    }

    @Test("Parts of a span come together, whatever their order")
    func parts() {
        let first = span(
            1, nil, "shop", kind: .server, start: 1_000, duration: 0, marks: .noDuration,
            attributes: [Attribute("network.local.port", .int(80)), Attribute("a", .string("1"))])
        var second = span(
            1, 9, "", start: 5_000, duration: 40, marks: .noStart,
            attributes: [Attribute("network.local.address", .string("10.0.0.1")), Attribute("b", .string("2"))],
            name: "")
        second.events = [SpanEvent(time: 1_010, name: "e")]
        second.status = SpanStatus.error.rawValue
        for spans in [[first, second], [second, first]] {
            let found = merged(spans)
            #expect(found.count == 1)
            let whole = found[0]
            #expect((whole.start, whole.end) == (1_000, 1_040) && whole.marks == [])
            #expect(whole.name == "n" && whole.parentID == SpanID(9) && whole.serviceName == "shop")
            #expect(whole.kind == SpanKind.server.rawValue && whole.isError && whole.events.count == 1)
            #expect(Set(whole.attributes.map(\.key)) == ["network.local.port", "network.local.address", "a", "b"])
        }
    }

    @Test("Other services, other addresses, other kinds and the other half of a call stay apart")
    func strangers() {
        func address(_ text: String) -> [Attribute] { [Attribute("network.local.address", .string(text))] }
        for other in [
            span(1, nil, "b"), span(1, nil, marks: .shared), span(1, nil, attributes: address("10.0.0.2")),
            span(1, nil, kind: .server, start: 1_001),
        ] {
            let own = span(1, nil, kind: other.kind == 0 ? .unspecified : .client, attributes: address("10.0.0.1"))
            #expect(merged([own, other]).count == 2)
        }
    }

    @Test("A server that forgot to say that its id is shared, and its parent")
    func backfill() {
        let found = merged([span(2, 1, "a", kind: .client), span(2, nil, "b", kind: .server), span(1, nil)])
        #expect(found[1].marks == .shared && found[1].parentID == SpanID(1))
        #expect(found[0].marks == [])
    }

    @Test("An id that comes up too often is left as it is")
    func tooMany() {
        let spans = (0...Limits.partsPerSpan).map { span(1, nil, start: UInt64($0)) }
        #expect(merged(spans) == spans)
        #expect(merged(Array(spans.dropLast())).count == 1)
    }

    @Test("Any input: every span is there once, and the forest stays one", arguments: 0..<200)
    func anything(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func roll(_ sides: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % sides
        }
        let spans = (0..<1 + roll(30)).map { _ in
            span(
                1 + roll(12), roll(4) == 0 ? nil : 1 + roll(14), ["a", "b", ""][Int(roll(3))],
                kind: SpanKind(rawValue: UInt8(roll(6))) ?? .server, start: roll(100), duration: roll(50),
                marks: SpanMarks(rawValue: UInt16(roll(64))))
        }
        let tree = TraceTree(spans)
        let own = spans.withSharedSpansApart(tree)
        #expect(own.count == spans.count)
        #expect(TraceTree(own).roots.count <= tree.roots.count, "seed \(seed)")
        let whole = spans.withPartsMerged(tree)
        #expect(Set(whole.map(\.spanID)) == Set(spans.map(\.spanID)), "seed \(seed)")
        #expect(whole.withPartsMerged(TraceTree(whole)).count <= whole.count)
    }
}
