internal import Telemetry

/// A binary heap of positions in an order; the one that precedes all others comes out first.
struct TraceHeap: Sendable {
    private var keys: [TraceOrder.Key] = []

    var first: TraceOrder.Key? { keys.first }

    mutating func insert(_ key: TraceOrder.Key) {
        keys.append(key)
        var child = keys.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard keys[child].precedes(keys[parent]) else { return }
            keys.swapAt(child, parent)
            child = parent
        }
    }

    /// Does nothing on an empty heap.
    mutating func removeFirst() {
        guard let last = keys.popLast(), !keys.isEmpty else { return }
        keys[0] = last
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < keys.count {
                if keys[child].precedes(keys[best]) { best = child }
            }
            guard best != parent else { return }
            keys.swapAt(parent, best)
            parent = best
        }
    }
}
