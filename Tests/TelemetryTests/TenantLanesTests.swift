import Telemetry
import TestKit
import Testing

@Suite struct TenantLanesTests {
    private typealias Lanes = TenantLanes<(tenant: Int, number: Int, bytes: Int)>

    private static func append(_ lanes: inout Lanes, _ tenant: Int, _ number: Int, _ bytes: Int) {
        lanes.append((tenant, number, bytes), bytes: bytes, tenant: "t\(tenant)")
    }

    @Test("Every tenant's requests come out once, in their order, in groups that keep the limits")
    func orderAndLimits() {
        var random = SeededRandom(seed: 5)
        for round in 0..<60 {
            var lanes = Lanes()
            var next = [Int](repeating: 0, count: 6)
            var taken = [Int](repeating: 0, count: 6)
            var waiting = 0
            var count = 0
            for step in 0..<600 {
                if random.oneIn(2) {
                    let tenant = random.below(round % 6 + 1)
                    let bytes = random.oneIn(10) ? random.below(9_000) + 1 : random.below(300) + 1
                    Self.append(&lanes, tenant, next[tenant], bytes)
                    next[tenant] += 1
                    waiting += bytes
                    count += 1
                } else {
                    let most = random.below(5) + 1
                    let group = lanes.take(bytes: 2_000, count: most)
                    let total = group.reduce(0) { $0 + $1.bytes }
                    #expect(group.isEmpty == (count == 0), "round \(round), step \(step)")
                    #expect(group.count <= most && (group.count <= 1 || total <= 2_000))
                    for item in group {
                        #expect(item.number == taken[item.tenant], "round \(round), step \(step)")
                        taken[item.tenant] += 1
                    }
                    waiting -= total
                    count -= group.count
                }
                #expect(lanes.bytes == waiting && lanes.count == count)
                #expect(lanes.tenantCount == (0..<6).count { next[$0] > taken[$0] })
            }
        }
    }

    @Test("While all wait, bytes are shared evenly, whatever the sizes and numbers of requests")
    func share() {
        var random = SeededRandom(seed: 6)
        // Tiny, small, middle and large requests, and one tenant that has a hundred times as many waiting.
        let sizes = [200, 1_000, 20_000, 300_000, 5_000]
        var lanes = Lanes()
        var waiting = [Int](repeating: 0, count: sizes.count)
        var got = [Int](repeating: 0, count: sizes.count)
        func fill() {
            for (tenant, size) in sizes.enumerated() {
                while waiting[tenant] < (tenant == 4 ? 100_000_000 : 1_000_000) {
                    let bytes = size / 2 + random.below(size)
                    Self.append(&lanes, tenant, 0, bytes)
                    waiting[tenant] += bytes
                }
            }
        }
        for _ in 0..<200 {
            fill()
            for item in lanes.take(bytes: 1 << 20, count: 5_000) {
                waiting[item.tenant] -= item.bytes
                got[item.tenant] += item.bytes
            }
        }
        let mean = Double(got.reduce(0, +)) / Double(sizes.count)
        for (tenant, bytes) in got.enumerated() {
            #expect(abs(Double(bytes) - mean) < 0.05 * mean, "tenant \(tenant): \(bytes) of \(mean)")
        }
    }

    @Test("A tenant alone gets whole groups, and leaves what it does not need to others")
    func alone() {
        var lanes = Lanes()
        for number in 0..<1_000 { Self.append(&lanes, 0, number, 100) }
        #expect(lanes.take(bytes: 20_000, count: 512).count == 200)
        #expect(lanes.take(bytes: 1 << 20, count: 512).count == 512)
        // One small request beside a crowd is in the very next group.
        Self.append(&lanes, 1, 0, 100)
        #expect(lanes.take(bytes: 2_000, count: 512).contains { $0.tenant == 1 })
        #expect(lanes.tenantCount == 1)
        // Larger than a group: alone in its own.
        var large = Lanes()
        Self.append(&large, 0, 0, 50_000)
        Self.append(&large, 1, 0, 10)
        let groups = [large.take(bytes: 1_000, count: 10), large.take(bytes: 1_000, count: 10)]
        #expect(groups.map { $0.map(\.tenant) } == [[1], [0]])
        #expect(large.take(bytes: 1_000, count: 10).isEmpty)
    }

    @Test("Alone a tenant may fill the queue, beside others its share, and who comes late finds room")
    func room() {
        var lanes = Lanes()
        #expect(lanes.hasRoom(for: 5_000, of: "t0", limit: 1_000))
        for number in 0..<10 { Self.append(&lanes, 0, number, 100) }
        #expect(!lanes.hasRoom(for: 100, of: "t0", limit: 1_000))
        #expect(lanes.hasRoom(for: 250, of: "t1", limit: 1_000) && !lanes.hasRoom(for: 251, of: "t1", limit: 1_000))
        Self.append(&lanes, 1, 0, 250)
        #expect(!lanes.hasRoom(for: 1, of: "t1", limit: 1_000) && !lanes.hasRoom(for: 1, of: "t2", limit: 1_000))
        // Half full again: up to the share, and no further though there were room.
        while lanes.bytes(of: "t0") > 400 { _ = lanes.take(bytes: 100, count: 1) }
        Self.append(&lanes, 1, 1, 50)
        #expect(lanes.hasRoom(for: 100, of: "t0", limit: 1_000) && !lanes.hasRoom(for: 101, of: "t0", limit: 1_000))
    }
}
