/// A rate that is kept on average, with a burst: tokens come at the rate and are taken by what is let in.
///
/// More than a whole burst at once is let in when the bucket is full and leaves it in debt, so the average holds for
/// requests of any size. A value; whoever holds it holds the lock.
package struct TokenBucket: Sendable {
    /// Tokens a second, above zero.
    let rate: Double
    let burst: Double
    private var tokens: Double
    private var updated: UInt64

    static let burstSeconds = 2.0

    /// - Parameter now: nanoseconds of a clock that never steps.
    package init(rate: Double, burst: Double? = nil, now: UInt64) {
        self.rate = rate
        self.burst = burst ?? rate * Self.burstSeconds
        tokens = self.burst
        updated = now
    }

    /// Takes `count` tokens. Nil when they were there; else nothing is taken, and so many seconds later they are.
    package mutating func take(_ count: Double, now: UInt64) -> Double? {
        if let wait = wait(for: count, now: now) { return wait }
        tokens -= count
        return nil
    }

    /// Seconds until `count` can be taken; nil: now.
    mutating func wait(for count: Double, now: UInt64) -> Double? {
        refill(now)
        let needed = min(count, burst)
        return tokens >= needed ? nil : (needed - tokens) / rate
    }

    /// As good as new: forgetting it changes nothing.
    package mutating func isFull(now: UInt64) -> Bool {
        refill(now)
        return tokens >= burst
    }

    private mutating func refill(_ now: UInt64) {
        guard now > updated else { return }
        tokens = min(tokens + Double(now - updated) / 1e9 * rate, burst)
        updated = now
    }
}

/// Bytes and spans that one tenant or source may send a second; nil: as many as it likes.
package struct RateLimits: Hashable, Sendable {
    package var bytesPerSecond: Double?
    package var spansPerSecond: Double?

    package init(bytesPerSecond: Double? = nil, spansPerSecond: Double? = nil) {
        self.bytesPerSecond = bytesPerSecond
        self.spansPerSecond = spansPerSecond
    }

    var isUnlimited: Bool { bytesPerSecond == nil && spansPerSecond == nil }
}

/// The two buckets of one tenant or source.
struct RateBuckets: Sendable {
    private var bytes: TokenBucket?
    private var spans: TokenBucket?

    init(_ limits: RateLimits, now: UInt64) {
        bytes = limits.bytesPerSecond.map { TokenBucket(rate: $0, now: now) }
        spans = limits.spansPerSecond.map { TokenBucket(rate: $0, now: now) }
    }

    /// Takes the bytes of a request; nil when it may come, else the seconds to wait. A client that owes spans has to
    /// wait too: its spans would only be refused after they were read.
    mutating func admit(bytes count: Int, now: UInt64) -> Double? {
        if let wait = spans?.wait(for: 1, now: now) { return wait }
        return bytes?.take(Double(count), now: now)
    }

    mutating func admit(spans count: Int, now: UInt64) -> Double? { spans?.take(Double(count), now: now) }

    mutating func isFull(now: UInt64) -> Bool {
        (bytes?.isFull(now: now) ?? true) && (spans?.isFull(now: now) ?? true)
    }
}
