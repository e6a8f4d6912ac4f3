package import Telemetry

/// How the spans of one trace hang together. Built without recursion; any input gives a forest.
///
/// A parent id names the span of that id; when a Zipkin client and server half share an id, the server half hangs
/// under the client half and children hang under the server half. A span whose parent is not there is an orphan and a
/// root of its own. A cycle is cut above its first span, which is marked.
package struct TraceTree: Sendable {
    /// Index of each span's parent; nil for roots.
    package private(set) var parents: [Int?]
    /// Indexes of each span's children, in the order of the spans.
    package private(set) var children: [[Int]]
    /// In the order of the spans; orphans and spans cut out of cycles are among them.
    package private(set) var roots: [Int] = []
    /// Roots whose parent id names no span of the trace.
    package private(set) var orphans: [Int] = []
    /// Roots whose parent lies below themselves.
    package private(set) var cut: [Int] = []
    /// Zero for roots.
    package private(set) var depths: [Int]
    /// Some spans have one id: halves of a call, parts of a span, or a clash.
    package private(set) var hasRepeatedIDs = false
    /// All spans, every parent before its children, siblings in the order of the spans.
    package private(set) var preorder: [Int] = []

    /// - Parameter spans: of one trace, best sorted by start: order decides between siblings, and which span of
    ///   several with one id is the parent.
    package init(_ spans: [SpanRecord]) {
        parents = Array(repeating: nil, count: spans.count)
        children = Array(repeating: [], count: spans.count)
        depths = Array(repeating: 0, count: spans.count)
        link(spans)
        cutCycles()
        for index in spans.indices {
            if let parent = parents[index] {
                children[parent].append(index)
            } else {
                roots.append(index)
            }
        }
        walk()
    }

    private mutating func link(_ spans: [SpanRecord]) {
        var clients: [SpanID: Int] = [:]
        var servers: [SpanID: Int] = [:]
        for (index, span) in spans.enumerated() {
            if isServerHalf(span) {
                if servers[span.spanID] == nil { servers[span.spanID] = index }
            } else if clients[span.spanID] == nil {
                clients[span.spanID] = index
            }
        }
        hasRepeatedIDs = clients.count + servers.count < spans.count || clients.keys.contains { servers[$0] != nil }
        for (index, span) in spans.enumerated() {
            if isServerHalf(span), let client = clients[span.spanID], spans[client].kind == SpanKind.client.rawValue {
                parents[index] = client
                continue
            }
            guard let parentID = span.parentID else { continue }
            let parent = servers[parentID] ?? clients[parentID]
            switch parent {
            case nil: orphans.append(index)
            case index: cut.append(index)
            default: parents[index] = parent
            }
        }
    }

    private func isServerHalf(_ span: SpanRecord) -> Bool {
        span.marks.contains(.shared) || span.kind == SpanKind.server.rawValue
    }

    /// Follows parents from every span; a walk that meets itself has found a cycle.
    private mutating func cutCycles() {
        // 0: not seen; otherwise the number of the walk that saw it, plus 1.
        var seenBy = [Int](repeating: 0, count: parents.count)
        for start in parents.indices where seenBy[start] == 0 {
            var current = start
            while seenBy[current] == 0 {
                seenBy[current] = start + 1
                guard let parent = parents[current] else { break }
                current = parent
            }
            guard seenBy[current] == start + 1, let above = parents[current] else { continue }
            // `current` is on a cycle only when the walk came back to it.
            var first = current
            var member = above
            while member != current {
                first = min(first, member)
                guard let parent = parents[member] else { break }
                member = parent
            }
            guard member == current else { continue }
            parents[first] = nil
            cut.append(first)
        }
    }

    private mutating func walk() {
        preorder.reserveCapacity(parents.count)
        var pending = Array(roots.reversed())
        while let index = pending.popLast() {
            preorder.append(index)
            for child in children[index].reversed() {
                depths[child] = depths[index] + 1
                pending.append(child)
            }
        }
    }
}
