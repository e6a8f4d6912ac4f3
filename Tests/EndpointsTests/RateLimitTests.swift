import Endpoints
import Synchronization
import Telemetry
import TestKit
import Testing

@Suite struct RateLimitTests {
    private static let second: UInt64 = 1_000_000_000

    @Test("A bucket gives its burst at once, then its rate, and says exactly how long to wait")
    func arithmetic() {
        var bucket = TokenBucket(rate: 100, now: 0)
        #expect(bucket.take(200, now: 0) == nil)
        #expect(bucket.take(1, now: 0) == 0.01)
        #expect(bucket.take(50, now: 0) == 0.5)
        #expect(bucket.take(50, now: Self.second / 4) == 0.25)
        #expect(bucket.take(50, now: Self.second / 2) == nil)
        #expect(bucket.take(50, now: Self.second / 2) == 0.5)
        // A rest fills it to the burst, no further.
        #expect(bucket.take(200, now: 100 * Self.second) == nil)
        #expect(bucket.take(1, now: 100 * Self.second) != nil)
        #expect(!bucket.isFull(now: 101 * Self.second) && bucket.isFull(now: 102 * Self.second))
        // A clock that stands still or goes back gives nothing.
        #expect(bucket.take(201, now: 102 * Self.second) == nil)
        #expect(bucket.take(1, now: 50 * Self.second) == 0.02)
    }

    @Test("More than a burst at once needs a full bucket, and is paid for afterwards")
    func debt() {
        var bucket = TokenBucket(rate: 100, now: 0)
        #expect(bucket.take(1_000, now: 0) == nil)
        #expect(bucket.take(1, now: 0) == 8.01)
        #expect(bucket.take(1_000, now: 8 * Self.second) == 2)
        #expect(bucket.take(1_000, now: 10 * Self.second) == nil)
    }

    @Test("Whatever is sent, what is let in stays below rate x time + burst, and who waits as told is let in")
    func model() {
        var random = SeededRandom(seed: 41)
        for round in 0..<50 {
            let rate = Double(Int.random(in: 1...1_000, using: &random))
            var bucket = TokenBucket(rate: rate, now: 0)
            var now: UInt64 = 0
            var taken = 0.0
            var largest = 0.0
            for _ in 0..<200 {
                let count = Double(Int.random(in: 1...Int(rate * 3) + 1, using: &random))
                if let wait = bucket.take(count, now: now) {
                    #expect(wait > 0)
                    let later = now + UInt64(wait * 1e9) + 1_000
                    var copy = bucket
                    #expect(copy.take(count, now: later) == nil, "round \(round)")
                } else {
                    taken += count
                    largest = max(largest, count)
                }
                #expect(taken <= rate * (Double(now) / 1e9 + 2) + largest + 1e-6, "round \(round)")
                now += UInt64.random(in: 0...Self.second, using: &random)
            }
        }
    }

    @Test("The window holds sixty seconds, second by second")
    func window() {
        var random = SeededRandom(seed: 42)
        var window = SlidingWindow()
        var all: [(UInt64, UInt64)] = []
        var now: UInt64 = 1_000
        for _ in 0..<2_000 {
            now += UInt64([0, 0, 0, 1, 1, 2, 7, 59, 60, 61][Int.random(in: 0..<10, using: &random)])
            let count = UInt64.random(in: 0...9, using: &random)
            window.add(SlidingWindow.Counts(requests: 1, spans: count), second: now)
            all.append((now, count))
            let recent = all.filter { now - $0.0 < 60 }
            let sum = window.sum(now: now)
            #expect(sum.requests == UInt64(recent.count) && sum.spans == recent.reduce(0) { $0 + $1.1 })
        }
        #expect(window.sum(now: now + 60) == SlidingWindow.Counts())
    }

    @Test("Addresses: IPv4 one by one, IPv6 by its first half; beyond the table all share")
    func sources() throws {
        let one = try #require(PeerAddress([10, 0, 0, 1], port: 1))
        let other = try #require(PeerAddress([10, 0, 0, 2], port: 1))
        let mapped = try #require(PeerAddress([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1], port: 9))
        let six = try #require(PeerAddress([32, 1, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 1, count: 8), port: 1))
        let neighbour = try #require(PeerAddress([32, 1, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 2, count: 8), port: 1))
        #expect(PeerAddress([1, 2, 3], port: 1) == nil)
        #expect(one.source == mapped.source && one.source != other.source)
        #expect(six.source == neighbour.source && six.source != one.source)

        let table = SourceBuckets(most: 3) {
            TokenBucket(rate: 1, now: $0)
        } isFull: {
            $0.isFull(now: $1)
        }
        func take(_ number: UInt64, _ now: UInt64) -> Bool {
            table.with(SourceKey(high: 0, low: number), now: now) { $0.take(2, now: now) } == nil
        }
        #expect((1...3).allSatisfy { take($0, 0) } && table.count == 3)
        #expect(!take(1, 0))
        // The fourth and the fifth share a bucket.
        #expect(take(4, 0) && !take(5, 0))
        // Whoever was quiet long enough makes room.
        #expect(take(6, 3 * Self.second) && table.count == 1)
    }

    @Test("What clients are told to wait is between half and one and a half of what it takes, spread over clients")
    func jitter() throws {
        func seconds(_ drain: Double, _ floor: Int = 1, peer: PeerAddress? = nil) -> Int {
            RetryDelay.seconds(drainSeconds: drain, floor: floor, peer: peer)
        }
        #expect(seconds(0) == 1 && seconds(4) == 6 && seconds(1_000) == 30 && seconds(0, 5) == 5)
        var counts = [Int](repeating: 0, count: 46)
        for port in UInt16(1_000)..<9_000 {
            let peer = try #require(PeerAddress([127, 0, 0, 1], port: port))
            #expect(peer.fraction == peer.fraction && (0..<1).contains(peer.fraction))
            counts[seconds(20, peer: peer)] += 1
        }
        #expect(counts[..<15].allSatisfy { $0 == 0 })
        // 30 values, 8,000 clients: about 267 each.
        for wait in 17...44 { #expect((180...360).contains(counts[wait]), "\(wait): \(counts[wait])") }
    }

    @Test("A tenant's rates refuse before the body and after decoding, with the exact wait, and only that tenant")
    func tenants() {
        let time = Mutex<UInt64>(Self.second)
        let clock: @Sendable () -> UInt64 = { time.withLock { $0 } }
        var settings = AdmissionControl.Settings()
        settings.tenantRates = RateLimits(bytesPerSecond: 1_000, spansPerSecond: 10)
        settings.ratesByTenant = ["big": RateLimits()]
        let control = AdmissionControl(
            budget: MemoryBudget(limitBytes: 1 << 30, requestBytes: 1 << 30), settings: settings, clock: clock)
        func admit(_ bytes: Int, _ tenant: String) -> AdmissionRefusal? {
            var head = Request(method: "POST", target: "/", headers: [("content-length", "\(bytes)")])
            let refusal = control.admit(&head, tenant: tenant, source: nil)
            if refusal != nil { #expect(head.reservation == nil) }
            return refusal
        }
        #expect(admit(2_000, "shop") == nil)
        #expect(admit(500, "shop") == .tenantRate(seconds: 0.5))
        #expect(admit(500, "other") == nil && admit(1 << 20, "big") == nil)
        time.withLock { $0 += Self.second / 2 }
        #expect(admit(500, "shop") == nil)
        time.withLock { $0 += 10 * Self.second }
        let sender = control.note(Request(method: "POST", target: "/"), tenant: "shop", source: nil)
        #expect(sender.admit(spans: 20) == nil && sender.admit(spans: 1) == .tenantRate(retryAfter: 1))
        #expect(admit(1, "shop") == .tenantRate(seconds: 0.1))
        #expect(control.budget.reservedBytes == 0)
        let counts = control.tenants.meter("shop", now: clock()).counts(now: clock())
        #expect(counts.total.refused == 2 && counts.total.spans == 20 && counts.total.requests == 1)
    }
}
