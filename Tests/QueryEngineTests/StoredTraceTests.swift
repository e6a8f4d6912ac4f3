import QueryEngine
import Telemetry
import TestKit
import Testing

private let traceID = TraceID(high: 1, low: 2)

private func span(_ id: UInt64, start: UInt64, name: String = "x", arrival: UInt64 = 1) -> SpanRecord {
    SpanRecord(
        traceID: traceID, spanID: SpanID(id), name: name, start: start, end: start + 10,
        attributes: [Attribute("k", .string(name))], arrival: arrival)
}

@Suite struct StoredTraceTests {
    @Test("A span delivered twice is shown once, as it arrived first")
    func repeats() {
        let trace = StoredTrace(
            traceID: traceID,
            delivered: [span(1, start: 5, arrival: 9), span(2, start: 1), span(1, start: 5, arrival: 3)])
        #expect(trace.spans == [span(2, start: 1), span(1, start: 5, arrival: 3)])
        #expect(trace.cutSpanCount == 0)
    }

    @Test("Different spans of one id are all kept, however often each came")
    func conflicts() {
        let delivered = (0..<60).map { span(7, start: 5, name: "n\($0 % 3)", arrival: UInt64($0 + 1)) }
        let trace = StoredTrace(traceID: traceID, delivered: delivered)
        #expect(trace.spans.map(\.name) == ["n0", "n1", "n2"])
        #expect(StoredTrace(traceID: traceID, delivered: delivered.reversed()) == trace)
    }

    @Test("Sorted by start, then id, whatever the order of delivery", arguments: 0..<20)
    func order(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        let distinct = (0..<40).map { span(UInt64($0 + 1), start: UInt64(dice.roll(5))) }
        var shuffled = distinct + distinct.prefix(dice.roll(40))
        for index in shuffled.indices { shuffled.swapAt(index, dice.roll(shuffled.count)) }
        let trace = StoredTrace(traceID: traceID, delivered: shuffled)
        #expect(trace.spans == distinct.sorted { ($0.start, $0.spanID) < ($1.start, $1.spanID) }, "seed \(seed)")
    }

    @Test("What is beyond the limit is cut from the end, and counted")
    func cut() {
        let spans = (0..<10).map { span(UInt64($0 + 1), start: UInt64($0)) }
        let trace = StoredTrace(traceID: traceID, delivered: spans + spans, limit: 4)
        #expect(trace.spans == Array(spans.prefix(4)))
        #expect(trace.cutSpanCount == 6 && trace.isCut)
    }

    @Test("A trace is put together from all parts")
    func parts() throws {
        let parts = (0..<4).map { part in MemoryPart((0...part).map { span(UInt64($0 + 1), start: UInt64($0)) }) }
        let engine = QueryEngine(source: MemoryStore(parts))
        let trace = try #require(try engine.trace(traceID, budget: QueryBudget()))
        #expect(trace.spans.map(\.spanID.value) == [1, 2, 3, 4])
        #expect(try engine.trace(TraceID(high: 9, low: 9), budget: QueryBudget()) == nil)
    }
}
