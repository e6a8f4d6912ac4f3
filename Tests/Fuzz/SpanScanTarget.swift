internal import Telemetry
internal import WireFormats

extension FuzzTarget {
    /// Of every body that is decoded the pre-scan finds as many spans, and their facts; decoding every other one of them
    /// gives valid batches.
    static let otlpScan = FuzzTarget(
        name: "otlp-scan", seeds: { spanSeeds.map { encodeOTLPTraces($0) } },
        check: { input in
            let facts = scanned(input)
            guard let spans = decodedSpans(input, decodeOTLPTraces) else { return nil }
            guard let facts, facts.count == spans.received else { return "another number of spans" }
            if spans.rejected.isEmpty {
                let decoded = spans.batch.facts(seed: 1)
                let differs = zip(facts, decoded).contains { scan, decoded in
                    scan.traceKey(seed: 1) != decoded.traceKey(seed: 1) || scan.duration != decoded.duration
                        || scan.isError != decoded.isError || scan.isEntry != decoded.isEntry
                }
                if differs { return "other facts" }
            }
            var selection = SpanSelection(count: facts.count)
            for index in stride(from: 0, to: facts.count, by: 2) { selection.insert(index) }
            let half = decodedSpans(input) { [selection] bytes, origin throws(WireError) in
                try decodeOTLPTraces(bytes, origin: origin, keeping: selection)
            }
            guard let half, half.received == (facts.count + 1) / 2 else { return "another half" }
            return spanDefect(of: half)
        })

    private static func scanned(_ input: [UInt8]) -> [SpanFacts]? {
        input.withUnsafeBytes { bytes in
            var facts: [SpanFacts] = []
            do throws(WireError) { _ = try scanOTLPSpans(bytes, seed: 1, into: &facts) } catch { return nil }
            return facts
        }
    }
}
