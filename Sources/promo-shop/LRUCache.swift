/// The cache inside one pod: keeps the `capacity` keys that were asked for last.
struct LRUCache {
    private struct Node {
        var key: String
        var previous: Int
        var next: Int
    }

    private let capacity: Int
    private var slots: [String: Int] = [:]
    /// Slot 0 is the ring's anchor: after it the newest, before it the oldest.
    private var nodes = [Node(key: "", previous: 0, next: 0)]

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { slots.count }

    /// True when the key is there; it becomes the newest.
    mutating func touch(_ key: String) -> Bool {
        guard let slot = slots[key] else { return false }
        unlink(slot)
        link(slot)
        return true
    }

    /// Adds the key as the newest; the oldest makes room.
    mutating func insert(_ key: String) {
        if touch(key) { return }
        if slots.count < capacity {
            nodes.append(Node(key: key, previous: 0, next: 0))
            slots[key] = nodes.count - 1
            link(nodes.count - 1)
        } else {
            let oldest = nodes[0].previous
            unlink(oldest)
            slots[nodes[oldest].key] = nil
            nodes[oldest].key = key
            slots[key] = oldest
            link(oldest)
        }
    }

    private mutating func unlink(_ slot: Int) {
        nodes[nodes[slot].previous].next = nodes[slot].next
        nodes[nodes[slot].next].previous = nodes[slot].previous
    }

    private mutating func link(_ slot: Int) {
        let first = nodes[0].next
        nodes[slot].previous = 0
        nodes[slot].next = first
        nodes[first].previous = slot
        nodes[0].next = slot
    }
}
