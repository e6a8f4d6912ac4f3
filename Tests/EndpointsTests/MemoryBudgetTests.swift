import Endpoints
import Synchronization
import Telemetry
import TestKit
import Testing

@Suite struct MemoryBudgetTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("The state goes by the share that is held; red lets nothing new in, and what is underway may grow")
    func states() {
        let budget = MemoryBudget(limitBytes: 10_000, requestBytes: 1_000)
        let steps: [(Int, LoadState)] = [(590, .green), (10, .yellow), (149, .yellow), (1, .orange), (100, .orange)]
        for (count, state) in steps {
            #expect(budget.reserve(count, isNew: true) && budget.signal.state == state)
        }
        #expect(budget.reserve(50, isNew: true) && budget.signal.state == .red && budget.loadPercent == 90)
        #expect(!budget.reserve(1, isNew: true))
        #expect(budget.reserve(100, isNew: false) && !budget.reserve(1, isNew: false))
        budget.release(1_000)
        #expect(budget.signal.state == .green && budget.reservedBytes == 0 && budget.loadPercent == 0)
        // Whoever is alone gets what it needs.
        #expect(budget.reserve(5_000, isNew: true) && !budget.reserve(1, isNew: false))
        budget.release(5_000)
    }

    @Test("Beyond the limit of resident memory the budget is a tenth, and never nothing")
    func resident() {
        let time = Mutex<UInt64>(Self.second)
        let bytes = Mutex(0)
        let budget = MemoryBudget(
            limitBytes: 500, requestBytes: 1_000,
            probe: .init(now: { time.withLock { $0 } }, residentBytes: { bytes.withLock { $0 } }))
        #expect(budget.reserve(50, isNew: true) && budget.reserve(30, isNew: true))
        bytes.withLock { $0 = 501 }
        // Looked at ten times a second.
        #expect(budget.reserve(5, isNew: true) && budget.signal.state == .green)
        time.withLock { $0 += Self.second / 10 }
        #expect(budget.reserve(5, isNew: true) && budget.signal.state == .red && budget.loadPercent == 90)
        #expect(!budget.reserve(5, isNew: true) && budget.residentBytes == 501)
        budget.release(90)
        #expect(budget.reserve(50, isNew: true) && budget.signal.state == .green)
        bytes.withLock { $0 = 400 }
        time.withLock { $0 += Self.second / 10 }
        #expect(budget.reserve(500, isNew: true) && budget.signal.state == .green)
    }

    @Test("The time until all is worked off follows the rate at which it is")
    func drain() {
        let time = Mutex<UInt64>(Self.second)
        let budget = MemoryBudget(
            limitBytes: 1 << 30, requestBytes: 1 << 30, probe: .init(now: { time.withLock { $0 } }))
        #expect(budget.reserve(10_000, isNew: true) && budget.drainSeconds == 0)
        for _ in 0..<30 {
            time.withLock { $0 += Self.second / 10 }
            budget.release(100)
            #expect(budget.reserve(100, isNew: true))
        }
        // 1,000 bytes a second.
        #expect(abs(budget.drainSeconds - 10) < 0.5)
        // A stall shows within a second or two.
        for _ in 0..<20 {
            time.withLock { $0 += Self.second / 10 }
            #expect(budget.reserve(1, isNew: true))
        }
        #expect(budget.drainSeconds > 1_000)
        // A pause says nothing of the rate.
        let before = budget.drainSeconds
        time.withLock { $0 += 100 * Self.second }
        #expect(budget.reserve(1, isNew: true) && abs(budget.drainSeconds - before) < before / 10)
    }

    @Test("A burst passes; once requests queue, no more is let in than drains in time, until they do not")
    func queue() {
        let time = Mutex<UInt64>(Self.second)
        let budget = MemoryBudget(
            limitBytes: 1 << 30, requestBytes: 1_000_000,
            probe: .init(now: { time.withLock { $0 } }, syncNanoseconds: { 10_000_000 }))
        var open: [MemoryReservation] = []
        let tenant = TenantMeters(limits: RateLimits(), most: 1).meter("one", now: Self.second)
        func arrive() -> Bool {
            let new = MemoryReservation(budget, weight: .body, tenant: tenant)
            guard new.cover(body: 10_000) == nil else { return false }
            new.waitForStore()
            open.append(new)
            return true
        }
        func pass(milliseconds: UInt64) { time.withLock { $0 += milliseconds * 1_000_000 } }
        // All at once, into an idle daemon.
        for _ in 0..<80 { #expect(arrive()) }
        #expect(budget.queueBound == nil)
        // 2,000,000 bytes a second are worked off: 140,000 within 40 ms and three syncs.
        for _ in 0..<3 {
            for _ in 0..<20 where !open.isEmpty { open.removeFirst().release() }
            pass(milliseconds: 100)
            _ = arrive()
        }
        let bound = budget.queueBound ?? 0
        #expect((100_000...180_000).contains(bound), "\(bound)")
        #expect(budget.reservedBytes > bound && !arrive() && budget.isRefusing)
        // What is still underway after a pause counts as before.
        pass(milliseconds: 5_000)
        #expect(!budget.isRefusing)
        #expect(!arrive() && budget.queueBound != nil)
        while budget.reservedBytes > bound / 2 { open.removeFirst().release() }
        #expect(arrive())
        // What is quick again for half a second is not bounded any more.
        while !open.isEmpty { open.removeFirst().release() }
        for _ in 0..<7 {
            pass(milliseconds: 100)
            #expect(arrive())
            pass(milliseconds: 10)
            open.removeFirst().release()
        }
        #expect(budget.queueBound == nil)
        // What waited before a pause is past.
        budget.noteWait(Self.second)
        pass(milliseconds: 5_000)
        for _ in 0..<80 { #expect(arrive()) }
        #expect(budget.queueBound == nil)
    }

    @Test("A standstill shows although no answer comes; a slow disk moves the mark")
    func standstill() {
        for (sync, isBounded) in [(UInt64(0), true), (40_000_000, false)] {
            let time = Mutex<UInt64>(Self.second)
            let budget = MemoryBudget(
                limitBytes: 1 << 30, requestBytes: 1_000_000,
                probe: .init(now: { time.withLock { $0 } }, syncNanoseconds: { sync }))
            let tenant = TenantMeters(limits: RateLimits(), most: 1).meter("one", now: Self.second)
            let requests = (0..<3).map { _ in MemoryReservation(budget, weight: .body, tenant: tenant) }
            #expect(requests[0].cover(body: 10_000) == nil)
            requests[0].waitForStore()
            time.withLock { $0 += 120_000_000 }
            #expect(requests[1].cover(body: 20_000) == nil && (budget.queueBound != nil) == isBounded)
            // The least bound is a thirty-second of all.
            withExtendedLifetime(requests) { #expect((requests[2].cover(body: 1_000) == nil) != isBounded) }
        }
    }

    @Test("A large request that is worked on keeps nobody out; one that waited for a thread says that others do")
    func workIsNoWait() {
        for (waited, isBounded) in [(UInt64(0), false), (150_000_000, true)] {
            let time = Mutex<UInt64>(Self.second)
            let budget = MemoryBudget(
                limitBytes: 1 << 30, requestBytes: 1_000_000, probe: .init(now: { time.withLock { $0 } }))
            let tenant = TenantMeters(limits: RateLimits(), most: 1).meter("one", now: Self.second)
            let large = MemoryReservation(budget, weight: .body, tenant: tenant)
            #expect(large.cover(body: 500_000) == nil)
            budget.noteWait(waited)
            for _ in 0..<12 {
                time.withLock { $0 += 90_000_000 }
                // Looks happen as others come.
                _ = MemoryReservation(budget, weight: .body, tenant: tenant).cover(body: 10)
            }
            time.withLock { $0 += 90_000_000 }
            budget.noteWait(waited)
            time.withLock { $0 += 20_000_000 }
            let next = MemoryReservation(budget, weight: .body, tenant: tenant)
            withExtendedLifetime(large) { #expect((next.cover(body: 10) == nil) != isBounded) }
        }
    }

    @Test("Reservations against a model: never more than the budget, nothing lost, nothing given back twice")
    func model() {
        var random = SeededRandom(seed: 77)
        for round in 0..<40 {
            let limit = Int.random(in: 1_000...2_000_000, using: &random)
            let budget = MemoryBudget(limitBytes: limit, requestBytes: limit)
            var open: [(reservation: MemoryReservation, held: Int)] = []
            for step in 0..<400 {
                switch Int.random(in: 0..<4, using: &random) {
                case 0:
                    let body = Int.random(in: 1...limit / 3, using: &random)
                    let new = MemoryReservation(budget, weight: .body)
                    let fits = budget.reservedBytes + body <= limit
                    #expect((new.cover(body: body) == nil) == fits, "round \(round), step \(step)")
                    if fits { open.append((new, body)) }
                case 1 where !open.isEmpty:
                    let index = Int.random(in: 0..<open.count, using: &random)
                    let wanted = open[index].held + Int.random(in: 0...limit / 5, using: &random)
                    let fits = budget.reservedBytes + wanted - open[index].held <= limit
                    let isGiven = open[index].reservation.cover(body: wanted) == nil
                    #expect(isGiven == fits || wanted == open[index].held, "round \(round), step \(step)")
                    if isGiven { open[index].held = wanted }
                case 2 where !open.isEmpty:
                    let (reservation, _) = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                    reservation.release()
                    reservation.release()
                    #expect(reservation.cover(body: 1) == .memory)
                default:
                    // Forgotten, not released.
                    if !open.isEmpty { open.removeLast() }
                }
                #expect(budget.reservedBytes == open.reduce(0) { $0 + $1.held }, "round \(round), step \(step)")
                #expect(budget.reservedBytes <= limit)
            }
            open.removeAll()
            #expect(budget.reservedBytes == 0 && budget.signal.state == .green)
        }
    }

    private final class Peak: Sendable {
        let bytes = Atomic<Int>(0)
    }

    @Test("Threads that reserve and release at once leave nothing behind")
    func concurrent() async {
        let budget = MemoryBudget(limitBytes: 1_000, requestBytes: 1_000)
        let peak = Peak()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(number))
                    for _ in 0..<5_000 {
                        let reservation = MemoryReservation(budget, weight: .body)
                        if reservation.cover(body: Int.random(in: 1...200, using: &random)) == nil {
                            peak.bytes.max(budget.reservedBytes, ordering: .relaxed)
                            if Bool.random(using: &random) { reservation.release() }
                        }
                    }
                }
            }
        }
        #expect(budget.reservedBytes == 0)
        // Who asks in vain is counted for a moment, each with less than 200.
        #expect(peak.bytes.load(ordering: .relaxed) <= 1_000 + 8 * 200)
    }

    @Test("A tenant alone may hold all; beside others its share, and others find room at once")
    func shares() {
        let time = Mutex<UInt64>(Self.second)
        let budget = MemoryBudget(limitBytes: 1_000_000, requestBytes: 1_000_000)
        let meters = TenantMeters(limits: RateLimits(), most: 10)
        func hold(_ tenant: String, _ bytes: Int) -> (MemoryReservation, MemoryReservation.Refusal?) {
            let meter = meters.meter(tenant, now: time.withLock { $0 })
            let reservation = MemoryReservation(budget, weight: .body, tenant: meter)
            return (reservation, reservation.cover(body: bytes))
        }
        var heavy: [MemoryReservation] = []
        while case (let reservation, nil) = hold("heavy", 90_000) { heavy.append(reservation) }
        #expect(heavy.count == 10 && budget.signal.state == .red)
        let light = hold("light", 90_000)
        #expect(light.1 == nil)
        #expect(hold("heavy", 90_000).1 == .share)
        // Down to its share and not below.
        while heavy.count > 4 { heavy.removeLast().release() }
        let (again, refusal) = hold("heavy", 90_000)
        heavy.append(again)
        #expect(refusal == nil && hold("heavy", 90_000).1 == .share)
        // Two seconds after the other's last request it is alone again.
        light.0.release()
        time.withLock { $0 += 3 * Self.second }
        #expect(hold("heavy", 90_000).1 == nil)
    }

    @Test("While the queue is bounded, who holds less than others on the average may go beyond its share of the bound")
    func lightTenants() {
        let time = Mutex<UInt64>(Self.second)
        let budget = MemoryBudget(
            limitBytes: 1 << 30, requestBytes: 32_000_000, probe: MemoryBudget.Probe(now: { time.withLock { $0 } }))
        let control = AdmissionControl(budget: budget, clock: { time.withLock { $0 } })
        func hold(_ tenant: String, _ bytes: Int) -> MemoryReservation? {
            let meter = control.tenants.meter(tenant, now: time.withLock { $0 })
            let reservation = MemoryReservation(budget, weight: .body, tenant: meter)
            return reservation.cover(body: bytes) == nil ? reservation : nil
        }
        var loud = (0..<40).compactMap { _ in hold("loud", 100_000) }
        #expect(loud.count == 40)
        // Alone it is the cause of everything.
        #expect(control.refusalWhileBehind(tenant: "loud") == .busy(retryAfter: 1))
        budget.noteWait(Self.second)
        for _ in 0..<3 {
            time.withLock { $0 += Self.second / 5 }
            budget.noteWait(Self.second)
            loud.append(contentsOf: [hold("loud", 10)].compactMap { $0 })
        }
        #expect(budget.queueBound == 1_000_000, "nothing is worked off: the floor")
        // Half of the bound is its share.
        let quiet = (0..<8).compactMap { _ in hold("quiet", 100_000) }
        #expect(quiet.count == 8)
        #expect(hold("loud", 100_000) == nil && hold("loud", 100) == nil)
        #expect(control.refusalWhileBehind(tenant: "quiet") == nil)
        #expect(control.refusalWhileBehind(tenant: "loud") == .busy(retryAfter: 1))
        #expect(budget.isRefusing)
        withExtendedLifetime((loud, quiet)) {}
    }

    @Test("Of many tenants the last ones share a meter")
    func manyTenants() {
        let meters = TenantMeters(limits: RateLimits(), most: 3)
        let names = (0..<10).map { meters.meter("t\($0)", now: 1).name }
        #expect(names == ["t0", "t1", "t2"] + [String](repeating: TenantMeters.otherName, count: 7))
        #expect(meters.all.count == 4)
    }
}
