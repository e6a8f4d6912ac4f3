/// The spans of a trace in the order they are drawn: parents before children, siblings by start.
///
/// Every span appears exactly once, whatever the ids say. A span whose parent is not in the trace hangs under a
/// line that names the missing parent; spans that are each other's ancestors hang under a line that says so.
struct TraceTree {
    enum Content {
        case span(Int)
        /// A parent that was named and never received.
        case missing(String)
        /// The head of spans that form a loop.
        case loop
    }

    struct Row {
        let content: Content
        let depth: Int
        /// For each ancestor level below the first and for the row itself: whether siblings follow.
        let more: [Bool]
        /// Levels left out of `more` on the left, because the row is deeper than the guides are drawn.
        let hiddenLevels: Int
    }

    /// Guides are drawn for at most this many levels by default, so that a chain of 10,000 spans stays readable.
    static let guideLevels = 24

    private let guideLevels: Int
    private(set) var rows: [Row] = []
    private let spans: [TraceSpan]
    private var children: [[Int]]
    private var isPlaced: [Bool]

    init(_ spans: [TraceSpan], guideLevels: Int = TraceTree.guideLevels) {
        self.spans = spans
        self.guideLevels = guideLevels
        children = Array(repeating: [], count: spans.count)
        isPlaced = Array(repeating: false, count: spans.count)
        var roots: [Int] = []
        var orphans: [(parent: String, spans: [Int])] = []
        var orphanIndex: [String: Int] = [:]
        let parents = ParentIndex(spans)
        let order = spans.indices.sorted { Self.isBefore(spans, $0, $1) }
        for index in order {
            let parentID = spans[index].parentID
            if let parent = parents.parent(of: index) {
                children[parent].append(index)
            } else if parentID.isEmpty {
                roots.append(index)
            } else if let group = orphanIndex[parentID] {
                orphans[group].spans.append(index)
            } else {
                orphanIndex[parentID] = orphans.count
                orphans.append((parentID, [index]))
            }
        }
        for root in roots { place([root], depth: 0) }
        for group in orphans {
            rows.append(Row(content: .missing(group.parent), depth: 0, more: [], hiddenLevels: 0))
            place(group.spans, depth: 1)
        }
        // What no root reaches is a loop and what hangs on it; the earliest span opens it.
        for index in order where !isPlaced[index] {
            rows.append(Row(content: .loop, depth: 0, more: [], hiddenLevels: 0))
            place([index], depth: 1)
        }
    }

    /// Indices of the spans in drawing order.
    var spanOrder: [Int] {
        rows.compactMap { row in
            if case .span(let index) = row.content { index } else { nil }
        }
    }

    private static func isBefore(_ spans: [TraceSpan], _ left: Int, _ right: Int) -> Bool {
        if spans[left].start != spans[right].start { return spans[left].start < spans[right].start }
        return left < right
    }

    private struct Visit {
        let span: Int
        let depth: Int
        let more: [Bool]
        let hiddenLevels: Int
    }

    /// Adds spans and all below them, without recursion: a trace may be one chain.
    private mutating func place(_ siblings: [Int], depth: Int) {
        var stack: [Visit] = []
        push(siblings, depth: depth, under: nil, onto: &stack)
        while let visit = stack.popLast() {
            guard !isPlaced[visit.span] else { continue }
            isPlaced[visit.span] = true
            rows.append(
                Row(
                    content: .span(visit.span), depth: visit.depth, more: visit.more,
                    hiddenLevels: visit.hiddenLevels))
            push(children[visit.span], depth: visit.depth + 1, under: visit, onto: &stack)
        }
    }

    private func push(_ siblings: [Int], depth: Int, under parent: Visit?, onto stack: inout [Visit]) {
        let open = siblings.filter { !isPlaced[$0] }
        for (position, span) in open.enumerated().reversed() {
            var more = parent?.more ?? []
            var hidden = parent?.hiddenLevels ?? 0
            if depth > 0 { more.append(position < open.count - 1) }
            if more.count > guideLevels {
                more.removeFirst()
                hidden += 1
            }
            stack.append(Visit(span: span, depth: depth, more: more, hiddenLevels: hidden))
        }
    }
}

/// Finds the parent of a span by the ids, also where two spans share one.
private struct ParentIndex {
    private let spans: [TraceSpan]
    private var byID: [String: [Int]] = [:]

    init(_ spans: [TraceSpan]) {
        self.spans = spans
        for (index, span) in spans.enumerated() where !span.id.isEmpty {
            byID[span.id, default: []].append(index)
        }
    }

    /// Zipkin's shared spans give the client and the server side of a call one id: the server side then hangs under
    /// the client side, and children hang under the server side.
    func parent(of index: Int) -> Int? {
        let span = spans[index]
        if span.kind == .server, let twins = byID[span.id], twins.count > 1,
            let client = twins.first(where: { spans[$0].kind == .client && spans[$0].parentID == span.parentID })
        {
            return client
        }
        guard !span.parentID.isEmpty, let candidates = byID[span.parentID] else { return nil }
        let others = candidates.filter { $0 != index }
        return others.first { spans[$0].kind == .server } ?? others.first ?? candidates.first
    }
}
