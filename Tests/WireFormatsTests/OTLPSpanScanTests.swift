import Telemetry
import Testing
import WireFormats

@Suite("OTLP pre-scan")
struct OTLPSpanScanTests {
    private func scan(_ body: [UInt8], seed: UInt64 = 9) throws(WireError) -> [SpanFacts] {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in
                var facts: [SpanFacts] = []
                let isWhole = try scanOTLPSpans(bytes, seed: seed, into: &facts)
                #expect(isWhole)
                return facts
            }
        }
        return try result.get()
    }

    private func decode(_ body: [UInt8], keeping selection: SpanSelection) throws -> DecodedSpans {
        try body.withUnsafeBytes { try decodeOTLPTraces($0, origin: Decode.origin, keeping: selection) }
    }

    private func text(_ facts: SpanFacts) -> String {
        "\(facts.traceHigh) \(facts.traceLow) \(facts.duration) \(facts.service) \(facts.isError) \(facts.isEntry)"
    }

    @Test("The scan finds what the decoder finds, in its order", arguments: 1...40 as ClosedRange<UInt64>)
    func agrees(seed: UInt64) throws {
        var random = TestRandom(seed)
        let body = encodeOTLPTraces(RandomSpans.list(20, &random))
        let decoded = try Decode.otlp(body).batch.facts(seed: seed)
        #expect(try scan(body, seed: seed).map(text) == decoded.map(text), "seed \(seed)")
    }

    @Test("Decoding a selection is decoding all and choosing", arguments: 1...40 as ClosedRange<UInt64>)
    func selected(seed: UInt64) throws {
        var random = TestRandom(seed)
        let body = encodeOTLPTraces(RandomSpans.list(20, &random))
        let all = try Decode.otlp(body).records()
        var selection = SpanSelection(count: all.count)
        for index in all.indices where random.next() % 3 == 0 { selection.insert(index) }
        let chosen = try decode(body, keeping: selection)
        let wanted = all.indices.filter { selection.contains($0) }.map { all[$0] }
        #expect(try chosen.records() == wanted, "seed \(seed)")
    }

    @Test("Cut anywhere or with a bit flipped: no trap, and as many spans as the decoder meets")
    func cutsAndFlips() throws {
        var random = TestRandom(11)
        let body = encodeOTLPTraces(RandomSpans.list(3, &random))
        for length in 0..<body.count { _ = try? scan(Array(body[..<length])) }
        for bit in 0..<body.count * 8 {
            var flipped = body
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let facts = try? scan(flipped)
            guard let decoded = try? Decode.otlp(flipped) else { continue }
            #expect(facts?.count == decoded.received, "bit \(bit)")
        }
    }

    @Test("The service may stand behind the spans; only a string names it")
    func service() throws {
        var behind = ProtobufWriter()
        behind.message(1) { resource in
            resource.message(2) { $0.message(2) { $0.fixed64(7, 5) } }
            resource.message(1) { resource in
                resource.message(1) { pair in
                    pair.string(1, "service.name")
                    pair.message(2) { $0.varint(3, 7) }
                }
                resource.message(1) { pair in
                    pair.message(2) { $0.string(1, "order") }
                    pair.string(1, "service.name")
                }
            }
        }
        let name = Array("order".utf8).withUnsafeBytes { SpanFacts.serviceKey($0, seed: 9) }
        #expect(try scan(behind.bytes).map(\.service) == [name])
    }

    @Test("A body of nothing but empty spans costs no more memory than the limit")
    func tooMany() throws {
        var spans = ProtobufWriter()
        let count = Limits.scannedSpans + 10
        let empty = [UInt8](repeating: 0, count: 2 * count).indices.map { $0 % 2 == 0 ? UInt8(0x12) : 0 }
        spans.message(1) { $0.bytes(2, empty) }
        var facts: [SpanFacts] = []
        #expect(try spans.bytes.withUnsafeBytes { try scanOTLPSpans($0, seed: 1, into: &facts) } == false)
        #expect(facts.count == Limits.scannedSpans + 1)
    }
}
