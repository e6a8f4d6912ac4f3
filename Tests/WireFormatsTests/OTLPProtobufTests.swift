import Bytes
import Telemetry
import Testing
import WireFormats

@Suite("OTLP protobuf")
struct OTLPProtobufTests {
    /// A request with one resource, one scope and the given span messages.
    private func request(_ spans: [(inout ProtobufWriter) -> Void]) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.message(1) { resource in
            resource.message(2) { scope in
                for span in spans { scope.message(2, span) }
            }
        }
        return writer.bytes
    }

    private func ids(_ writer: inout ProtobufWriter, trace: [UInt8]? = nil, span: [UInt8]? = nil) {
        writer.bytes(1, trace ?? [UInt8](repeating: 1, count: 16))
        writer.bytes(2, span ?? [UInt8](repeating: 2, count: 8))
    }

    @Test("Every field comes back, whatever the span holds", arguments: 1...40 as ClosedRange<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var random = TestRandom(seed)
        let spans = RandomSpans.list(20, &random)
        let decoded = try Decode.otlp(encodeOTLPTraces(spans)).records()
        #expect(byID(decoded) == byID(spans), "seed \(seed)")
    }

    @Test("An empty body and empty messages are fine")
    func empty() throws {
        #expect(try Decode.otlp([]).records() == [])
        #expect(try Decode.otlp([0x0a, 0x00, 0x0a, 0x02, 0x12, 0x00]).records() == [])
    }

    @Test("A body cut anywhere throws or is a shorter list; a flipped bit never breaks the batch")
    func cutsAndFlips() throws {
        var random = TestRandom(7)
        let body = encodeOTLPTraces(RandomSpans.list(3, &random))
        for length in 0..<body.count { _ = try? Decode.otlp(Array(body[..<length])).records() }
        for bit in 0..<body.count * 8 {
            var flipped = body
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let decoded = try? Decode.otlp(flipped) else { continue }
            _ = try decoded.records()
        }
    }

    @Test("A bad id costs its span only, and the message names the first")
    func rejectedSpans() throws {
        let body = request([
            { self.ids(&$0) },
            { self.ids(&$0, trace: [UInt8](repeating: 0, count: 16)) },
            { self.ids(&$0, span: [UInt8](repeating: 0, count: 8)) },
            { self.ids(&$0, trace: [1, 2, 3]) },
            { self.ids(&$0, span: []) },
            {
                self.ids(&$0)
                $0.bytes(4, [1])
            },
            { $0.string(5, "no ids") },
            { self.ids(&$0) },
        ])
        let decoded = try Decode.otlp(body)
        #expect(try decoded.records().count == 2)
        #expect(decoded.received == 8)
        #expect(decoded.reasons == [.zeroTraceID: 1, .zeroSpanID: 1, .badIDLength: 4])
        #expect(decoded.message == "resourceSpans[0].scopeSpans[0].spans[1]: the trace id is all zeros")
    }

    @Test("Rows of a rejected span are taken back")
    func rejectedRows() throws {
        let body = request([
            { writer in
                self.ids(&writer, span: [0])
                writer.message(9) { $0.string(1, "k") }
                writer.message(11) { $0.string(2, "event") }
                writer.message(13) { self.ids(&$0) }
            },
            { self.ids(&$0) },
        ])
        let batch = try Decode.otlp(body).batch
        #expect(batch.spans.count == 1 && batch.attributes.isEmpty && batch.events.isEmpty && batch.links.isEmpty)
    }

    @Test("Fields may come in any order: attributes stay with their owner")
    func interleaved() throws {
        func pair(_ key: String) -> (inout ProtobufWriter) -> Void { { $0.string(1, key) } }
        let body = request([
            { writer in
                writer.message(11) { $0.message(3, pair("event 1")) }
                writer.message(9, pair("span 1"))
                writer.message(13) { link in
                    self.ids(&link)
                    link.message(4, pair("link"))
                }
                writer.message(9, pair("span 2"))
                writer.message(11) { $0.message(3, pair("event 2")) }
                self.ids(&writer)
            }
        ])
        let span = try #require(try Decode.otlp(body).records().first)
        #expect(span.attributes.map(\.key) == ["span 1", "span 2"])
        #expect(span.events.map { $0.attributes.map(\.key) } == [["event 1"], ["event 2"]])
        #expect(span.links.map { $0.attributes.map(\.key) } == [["link"]])
    }

    @Test("A resource and a scope behind their spans count as if they stood before")
    func lateContainers() throws {
        var writer = ProtobufWriter()
        writer.message(1) { resource in
            resource.message(2) { scope in
                scope.message(2) { self.ids(&$0) }
                scope.message(1) { $0.string(1, "late scope") }
            }
            resource.string(3, "url")
            resource.message(1) { inner in
                inner.message(1) { pair in
                    pair.message(2) { $0.string(1, "late service") }
                    pair.string(1, "service.name")
                }
            }
        }
        let span = try #require(try Decode.otlp(writer.bytes).records().first)
        #expect(span.scope.name == "late scope")
        #expect(span.serviceName == "late service" && span.resource.schemaURL == "url")
    }

    @Test("Messages that repeat a resource and a scope share its rows; any difference makes rows of its own")
    func repeatedContainers() throws {
        struct Shape: Hashable {
            var service = "shop"
            var scope = "library"
            var url = ""
            var isLate = false
            var twice = false
        }
        func body(_ shapes: [Shape]) -> [UInt8] {
            var writer = ProtobufWriter()
            for (index, shape) in shapes.enumerated() {
                func describe(_ resource: inout ProtobufWriter, _ value: String) {
                    resource.message(1) { inner in
                        inner.message(1) { pair in
                            pair.string(1, "service.name")
                            pair.message(2) { $0.string(1, value) }
                        }
                    }
                }
                writer.message(1) { resource in
                    if !shape.isLate { describe(&resource, shape.service) }
                    if shape.twice { resource.message(1) { $0.varint(2, 5) } }
                    resource.message(2) { scope in
                        scope.message(1) { $0.string(1, shape.scope) }
                        scope.message(2) { self.ids(&$0, span: [UInt8](repeating: UInt8(index + 1), count: 8)) }
                    }
                    if shape.isLate { describe(&resource, shape.service) }
                    if !shape.url.isEmpty { resource.string(3, shape.url) }
                }
            }
            return writer.bytes
        }
        let shapes = [
            Shape(), Shape(service: "shoq"), Shape(scope: "other"), Shape(url: "url"), Shape(isLate: true),
            Shape(twice: true),
        ]
        var random = TestRandom(7)
        for round in 0..<200 {
            let list = (0..<6).map { _ in shapes[random.below(shapes.count)] }
            let decoded = try Decode.otlp(body(list))
            let records = try decoded.records()
            #expect(records.count == list.count)
            for (span, shape) in zip(records, list) {
                #expect(span.serviceName == shape.service && span.scope.name == shape.scope, "round \(round)")
                #expect(span.resource.schemaURL == shape.url, "round \(round)")
                #expect(span.resource.droppedAttributes == (shape.twice ? 5 : 0), "round \(round)")
            }
        }
        let same = try Decode.otlp(body([Shape](repeating: Shape(), count: 5)))
        #expect(same.batch.resources.count == 1 && same.batch.scopes.count == 1 && same.batch.spans.count == 5)
        let scopes = try Decode.otlp(body([Shape(), Shape(scope: "other"), Shape()]))
        #expect(scopes.batch.resources.count == 1 && scopes.batch.scopes.count == 3)
    }

    @Test("Malformed bytes are refused with offset and place")
    func malformed() {
        let cases: [([UInt8], WireError.Kind, Int)] = [
            ([0x0a], .truncated, 1), ([0x0a, 0x05, 0x00], .length, 1), ([0x08, 0x01], .wireType, 1),
            ([0x7b], .group, 1), ([0x7c], .group, 1), ([0x0b], .wireType, 1), ([0x0e], .wireType, 1),
            ([0x00], .fieldNumber, 0),
            ([0x07, 0x00], .fieldNumber, 0), ([0x80], .truncated, 1),
            ([UInt8](repeating: 0xff, count: 11), .varint, 0),
            ([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], .length, 1),
            ([0x0a] + [UInt8](repeating: 0xff, count: 9) + [0x01], .length, 1),
        ]
        for (body, kind, offset) in cases {
            let error = #expect(throws: WireError.self) { try Decode.otlp(body) }
            #expect(error?.kind == kind && error?.offset == offset, "\(body): \(String(describing: error))")
        }
    }

    @Test("Invalid UTF-8 becomes U+FFFD and marks its span only")
    func invalidUTF8() throws {
        let broken = Array("caf".utf8) + [0xc3]
        let body = request([
            { self.ids(&$0) },
            {
                self.ids(&$0)
                $0.bytes(5, broken)
                for _ in 0..<2 {
                    $0.message(9) { pair in
                        pair.bytes(1, broken)
                        pair.message(2) { $0.bytes(1, [0xff] + Array("x".utf8) + [0xed, 0xa0, 0x80]) }
                    }
                }
                $0.message(9) { pair in
                    pair.string(1, "list")
                    pair.message(2) { $0.message(5) { $0.message(1) { $0.bytes(1, [0x80]) } } }
                }
            },
            { self.ids(&$0) },
        ])
        let decoded = try Decode.otlp(body)
        let spans = try decoded.records()
        #expect(spans.map(\.marks) == [[], .repairedText, []] && decoded.rejected.isEmpty)
        #expect(spans[1].name == "caf\u{fffd}")
        let text = AttributeValue.string("\u{fffd}x\u{fffd}\u{fffd}\u{fffd}")
        #expect(
            spans[1].attributes == [
                Attribute("caf\u{fffd}", text), Attribute("caf\u{fffd}", text),
                Attribute("list", .array([.string("\u{fffd}")])),
            ])
    }

    @Test("Broken text grows no further than the limit of its place")
    func longInvalidUTF8() throws {
        let body = request([
            { writer in
                self.ids(&writer)
                writer.bytes(5, [UInt8](repeating: 0xff, count: Limits.nameBytes + 1))
                writer.message(9) { pair in
                    pair.string(1, "k")
                    pair.message(2) { $0.bytes(1, [UInt8](repeating: 0x80, count: Limits.attributeValueBytes)) }
                }
            }
        ])
        let span = try #require(try Decode.otlp(body).records().first)
        #expect(span.marks == [.truncated, .repairedText])
        #expect(span.name.utf8.count == Limits.nameBytes / 3 * 3 && span.name.allSatisfy { $0 == "\u{fffd}" })
        guard case .string(let value)? = span.attributes.first?.value else { throw WireError(.string, at: 0) }
        #expect(value.utf8.count == Limits.attributeValueBytes / 3 * 3)
    }

    @Test("Beyond the limits of a span things are dropped, counted and marked")
    func limits() throws {
        let body = request([
            { writer in
                self.ids(&writer)
                for index in 0..<Limits.attributesPerSpan + 5 { writer.message(9) { $0.string(1, "k\(index)") } }
                for _ in 0..<Limits.eventsPerSpan + 3 { writer.message(11) { $0.fixed64(1, 1) } }
                for _ in 0..<Limits.linksPerSpan + 2 { writer.message(13) { self.ids(&$0) } }
            },
            { writer in
                self.ids(&writer)
                writer.string(5, String(repeating: "é", count: Limits.nameBytes))
                writer.message(9) { pair in
                    pair.string(1, "k")
                    pair.message(2) { $0.string(1, String(repeating: "x", count: Limits.attributeValueBytes + 1)) }
                }
            },
            { writer in
                self.ids(&writer)
                writer.bytes(99, [UInt8](repeating: 0, count: Limits.spanBytes))
            },
        ])
        let decoded = try Decode.otlp(body)
        let spans = try decoded.records()
        #expect(spans[0].attributes.count == Limits.attributesPerSpan && spans[0].droppedAttributes == 5)
        #expect(spans[0].events.count == Limits.eventsPerSpan && spans[0].droppedEvents == 3)
        #expect(spans[0].links.count == Limits.linksPerSpan && spans[0].droppedLinks == 2)
        #expect(spans[0].marks == .truncated && spans[1].marks == .truncated)
        #expect(spans[1].name.utf8.count == Limits.nameBytes)
        #expect(spans[1].attributes == [Attribute("k", .string(String(repeating: "x", count: 256 << 10)))])
        #expect(decoded.reasons == [.spanTooLarge: 1])
    }

    @Test("Values nest to the limit; deeper ones are refused, without growing the stack")
    func nesting() throws {
        func body(_ depth: Int) -> [UInt8] {
            var value: [UInt8] = []
            for _ in 0..<depth {
                var list = ProtobufWriter()
                list.bytes(1, value)
                var outer = ProtobufWriter()
                outer.bytes(5, list.bytes)
                value = outer.bytes
            }
            return request([
                { writer in
                    self.ids(&writer)
                    writer.message(9) { pair in
                        pair.string(1, "k")
                        pair.bytes(2, value)
                    }
                }
            ])
        }
        let span = try #require(try Decode.otlp(body(Limits.nestingDepth)).records().first)
        #expect(span.attributes.first?.value != .empty)
        for depth in [Limits.nestingDepth + 1, 5_000] {
            let error = #expect(throws: WireError.self) { try Decode.otlp(body(depth)) }
            #expect(error?.kind == .nesting)
        }
    }

    @Test("Texts that repeat share their bytes, and texts that nearly repeat do not")
    func sharedTexts() throws {
        var random = TestRandom(3)
        var spans: [SpanRecord] = []
        for length in 1..<140 {
            for change in [0, length / 2, length - 1] {
                var text = [UInt8](repeating: UInt8(ascii: "a"), count: length)
                text[change] = UInt8(ascii: "b")
                var span = RandomSpans.span(Resource(), Scope(), &random)
                let word = String(decoding: text, as: UTF8.self)
                span.attributes = [Attribute(word, .string(word)), Attribute("k", .bytes(text))]
                spans += [span, span]
            }
        }
        #expect(try Decode.otlp(encodeOTLPTraces(spans)).records() == spans)
    }
}
