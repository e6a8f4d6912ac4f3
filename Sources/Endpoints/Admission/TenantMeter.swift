internal import Synchronization

/// What one tenant sends and holds, and what it may send a second.
package final class TenantMeter: Sendable {
    package let name: String
    /// Bytes of the memory budget that its requests hold.
    let reserved = Atomic<Int>(0)
    fileprivate let lastSeen = Atomic<UInt64>(0)
    private let peers: TenantPeers
    private let state: Mutex<State>

    fileprivate struct State {
        var buckets: RateBuckets
        var window = SlidingWindow()
        /// Since the start.
        var totals = SlidingWindow.Counts()
    }

    fileprivate init(_ name: String, limits: RateLimits, peers: TenantPeers, now: UInt64) {
        self.name = name
        self.peers = peers
        state = Mutex(State(buckets: RateBuckets(limits, now: now)))
    }

    /// What it may hold of `bytes` while others send too; nil when it is alone.
    func share(of bytes: Int) -> Int? {
        let count = peers.active.load(ordering: .relaxed)
        return count > 1 ? bytes / count : nil
    }

    /// Whether it holds less than half of what tenants hold on the average: what there is to do is not its doing.
    /// - Parameter total: what all hold.
    func isLight(in total: Int) -> Bool {
        share(of: total).map { reserved.load(ordering: .relaxed) <= $0 / 2 } ?? false
    }

    func admit(bytes: Int, now: UInt64) -> Double? { state.withLock { $0.buckets.admit(bytes: bytes, now: now) } }

    func admit(spans: Int, now: UInt64) -> Double? {
        state.withLock { state in
            if let wait = state.buckets.admit(spans: spans, now: now) { return wait }
            state.add(SlidingWindow.Counts(spans: UInt64(spans)), now)
            return nil
        }
    }

    /// A request that was read.
    func note(bytes: Int, now: UInt64) {
        state.withLock { $0.add(SlidingWindow.Counts(requests: 1, bytes: UInt64(bytes)), now) }
    }

    func noteRefusal(now: UInt64) { state.withLock { $0.add(SlidingWindow.Counts(refused: 1), now) } }

    /// Of the last sixty seconds, and since the start.
    package func counts(now: UInt64) -> (recent: SlidingWindow.Counts, total: SlidingWindow.Counts) {
        state.withLock { ($0.window.sum(now: now / 1_000_000_000), $0.totals) }
    }
}

extension TenantMeter.State {
    fileprivate mutating func add(_ counts: SlidingWindow.Counts, _ now: UInt64) {
        window.add(counts, second: now / 1_000_000_000)
        totals += counts
    }
}

/// How many tenants have sent something in the last two seconds.
final class TenantPeers: Sendable {
    let active = Atomic<Int>(0)
}

/// The meters of all tenants. Tenants beyond ``Limits/meteredTenants`` share one, called `other`.
package final class TenantMeters: Sendable {
    private let limits: RateLimits
    private let special: [String: RateLimits]
    private let most: Int
    private let peers = TenantPeers()
    private let meters = Mutex<[String: TenantMeter]>([:])
    private let nextCount = Atomic<UInt64>(0)

    private static let activeNanoseconds: UInt64 = 2_000_000_000
    private static let countNanoseconds: UInt64 = 100_000_000

    /// - Parameter special: limits of single tenants, in place of the general ones.
    package init(limits: RateLimits, special: [String: RateLimits] = [:], most: Int) {
        self.limits = limits
        self.special = special
        self.most = most
    }

    /// The meter of a tenant that sends something now.
    package func meter(_ tenant: String, now: UInt64) -> TenantMeter {
        let meter = meters.withLock { meters in
            if let known = meters[tenant] { return known }
            let name = meters.count < most ? tenant : Self.otherName
            if let other = meters[name] { return other }
            let new = TenantMeter(name, limits: special[name] ?? limits, peers: peers, now: now)
            meters[name] = new
            return new
        }
        let before = meter.lastSeen.exchange(now, ordering: .relaxed)
        let isBack = before == 0 || now &- before > Self.activeNanoseconds
        if isBack || now >= nextCount.load(ordering: .relaxed) { count(now) }
        return meter
    }

    /// Not a name that a token can give.
    package static let otherName = "(other)"

    /// By name.
    package var all: [TenantMeter] { meters.withLock { Array($0.values) }.sorted { $0.name < $1.name } }

    private func count(_ now: UInt64) {
        nextCount.store(now &+ Self.countNanoseconds, ordering: .relaxed)
        let active = meters.withLock { meters in
            meters.values.count { now &- $0.lastSeen.load(ordering: .relaxed) <= Self.activeNanoseconds }
        }
        peers.active.store(active, ordering: .relaxed)
    }
}
