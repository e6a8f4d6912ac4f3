/// What waits for a thread, a lane a tenant, taken by deficit round robin.
///
/// A tenant alone gets everything, in the order it came. Beside others each turn adds a quantum of bytes to what a
/// lane may take; what it does not use up while something still waits is kept for its next turn, so in the long run
/// all lanes that are never empty get the same bytes, whatever the sizes of their requests.
package struct TenantLanes<Element> {
    private struct Lane {
        var waiting: [(element: Element, bytes: Int)] = []
        /// Of the first one that still waits.
        var first = 0
        var bytes = 0
        var deficit = 0

        var isEmpty: Bool { first == waiting.count }

        mutating func removeFirst() -> Element {
            let (element, bytes) = waiting[first]
            first += 1
            self.bytes -= bytes
            if first > 64, first * 2 > waiting.count {
                waiting.removeFirst(first)
                first = 0
            }
            return element
        }
    }

    /// Lanes in which something waits, those only.
    private var lanes: [String: Lane] = [:]
    /// The same, whose turn it is first.
    private var turns: [String] = []
    /// The lane whose turn it is has its quantum already: the group before ended within its turn.
    private var isWithinTurn = false
    package private(set) var bytes = 0
    package private(set) var count = 0

    package init() {}

    /// Tenants that wait.
    package var tenantCount: Int { turns.count }
    package func bytes(of tenant: String) -> Int { lanes[tenant]?.bytes ?? 0 }

    package mutating func append(_ element: Element, bytes count: Int, tenant: String) {
        if lanes[tenant] == nil { turns.append(tenant) }
        lanes[tenant, default: Lane()].waiting.append((element, count))
        lanes[tenant, default: Lane()].bytes += count
        bytes += count
        self.count += 1
    }

    /// Takes the next group off: at most so many bytes and elements, but always one if there is any.
    package mutating func take(bytes limit: Int, count most: Int) -> [Element] {
        var group: [Element] = []
        var total = 0
        while let tenant = turns.first, group.count < most, var lane = lanes.removeValue(forKey: tenant) {
            if !isWithinTurn { lane.deficit += max(limit / 16, 1) }
            isWithinTurn = true
            let isAlone = turns.count == 1
            var isFull = false
            while !lane.isEmpty {
                let cost = lane.waiting[lane.first].bytes
                guard isAlone || cost <= lane.deficit else { break }
                isFull = group.count == most || !group.isEmpty && total + cost > limit
                if isFull { break }
                lane.deficit = isAlone ? 0 : lane.deficit - cost
                total += cost
                group.append(lane.removeFirst())
            }
            if lane.isEmpty {
                turns.removeFirst()
                isWithinTurn = false
            } else {
                lanes[tenant] = lane
                if isFull { break }
                turns.append(turns.removeFirst())
                isWithinTurn = false
            }
        }
        bytes -= total
        count -= group.count
        return group
    }
}

extension TenantLanes {
    /// Whether a request fits a queue of `limit` bytes. A tenant alone may fill it; while others wait it may have its
    /// share, and up to that there is a quarter of the queue more, so that one who comes late finds room.
    package func hasRoom(for count: Int, of tenant: String, limit: Int) -> Bool {
        guard self.count > 0 else { return true }
        let own = bytes(of: tenant)
        let tenants = tenantCount + (own == 0 ? 1 : 0)
        guard tenants > 1 else { return bytes + count <= limit }
        if own + count <= limit / tenants { return bytes + count <= limit + limit / 4 }
        return own == 0 && bytes + count <= limit
    }
}
