import SpanPipeline
import Telemetry
import Testing

private func span(
    _ id: UInt64, _ parent: UInt64?, start: UInt64 = 0, kind: SpanKind = .internal, marks: SpanMarks = []
) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), parentID: parent.map { SpanID($0) }, name: "n\(id)",
        kind: kind.rawValue, start: start, end: start + 1, marks: marks)
}

@Suite struct TraceTreeTests {
    @Test("Parents, children, depth and order of a plain tree")
    func plain() {
        let tree = TraceTree([span(1, nil), span(2, 1), span(3, 2), span(4, 1)])
        #expect(tree.parents == [nil, 0, 1, 0])
        #expect(tree.children == [[1, 3], [2], [], []])
        #expect(tree.depths == [0, 1, 2, 1])
        #expect(tree.preorder == [0, 1, 2, 3])
        #expect(tree.roots == [0] && tree.orphans.isEmpty && tree.cut.isEmpty)
    }

    @Test("Orphans are roots; no spans make an empty tree")
    func orphans() {
        let tree = TraceTree([span(2, 99), span(1, nil), span(3, 2)])
        #expect(tree.roots == [0, 1] && tree.orphans == [0])
        #expect(tree.depths == [0, 0, 1])
        #expect(TraceTree([]).roots.isEmpty)
    }

    @Test("A server half hangs under its client half, and the callee's spans under the server half")
    func sharedIDs() {
        let tree = TraceTree([
            span(1, nil), span(2, 1, kind: .client), span(2, 1, kind: .server, marks: .shared), span(3, 2),
        ])
        #expect(tree.parents == [nil, 0, 1, 2])
    }

    @Test("Cycles are cut above their first span")
    func cycles() {
        let loop = TraceTree([span(1, 3), span(2, 1), span(3, 2), span(4, 3)])
        #expect(loop.cut == [0] && loop.roots == [0] && loop.preorder.count == 4)
        let own = TraceTree([span(1, 1), span(2, 1)])
        #expect(own.cut == [0] && own.parents == [nil, 0])
    }

    @Test("Any input gives a forest of all spans", arguments: 0..<200)
    func forest(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func roll(_ sides: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % sides
        }
        let count = 1 + roll(40)
        let spans = (0..<count).map { _ in
            let kind = SpanKind(rawValue: UInt8(roll(6))) ?? .server
            return span(1 + roll(20), roll(4) == 0 ? nil : 1 + roll(25), kind: kind, marks: roll(3) == 0 ? .shared : [])
        }
        let tree = TraceTree(spans)
        #expect(tree.preorder.sorted() == Array(spans.indices), "seed \(seed)")
        for index in spans.indices {
            var (current, steps) = (index, 0)
            while let parent = tree.parents[current], steps <= spans.count {
                #expect(tree.depths[current] == tree.depths[parent] + 1)
                (current, steps) = (parent, steps + 1)
            }
            #expect(steps <= spans.count, "seed \(seed): a cycle is left")
            #expect(tree.roots.contains(current))
        }
    }

    @Test("A chain of a hundred thousand spans needs no deep stack")
    func deep() {
        let spans = (1...100_000).map { span(UInt64($0), $0 == 1 ? nil : UInt64($0 - 1)) }
        #expect(TraceTree(spans).depths.last == 99_999)
        #expect(TraceTree(spans.reversed()).depths.first == 99_999)
        let ring = (1...100_000).map { span(UInt64($0), UInt64($0 % 100_000 + 1)) }
        #expect(TraceTree(ring).cut == [0])
    }

    @Test("The summary names the earliest root, counts services and errors")
    func summary() {
        var spans = [span(2, 1, start: 5), span(1, nil, start: 10), span(3, 99, start: 11)]
        spans[0].resource.serviceName = "stock"
        spans[0].status = 2
        spans[1].resource.serviceName = "web"
        spans[2].resource.serviceName = "stock"
        spans[2].end = 500
        let summary = TraceSummary(traceID: TraceID(high: 0, low: 1), spans: spans, tree: TraceTree(spans))
        #expect(summary.rootService == "web" && summary.rootName == "n1")
        #expect(summary.start == 5 && summary.duration == 495)
        #expect(summary.spanCount == 3 && summary.errorCount == 1 && summary.orphanCount == 1)
        #expect(
            summary.services == [
                .init(name: "stock", spanCount: 2, errorCount: 1), .init(name: "web", spanCount: 1, errorCount: 0),
            ])
        let rootless = TraceSummary(
            traceID: TraceID(high: 0, low: 1), spans: [spans[2]], tree: TraceTree([spans[2]]))
        #expect(rootless.rootName == "n3")
    }
}
