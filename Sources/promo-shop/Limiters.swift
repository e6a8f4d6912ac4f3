/// Lets `rate` requests a second through on average, `burst` at once. The gateway's own limiter.
struct TokenBucket {
    private let rate: Double
    private let burst: Double
    private var tokens: Double
    /// Seconds of the shop's day.
    private var filledAt = 0.0

    init(rate: Double, burst: Double) {
        self.rate = rate
        self.burst = burst
        self.tokens = burst
    }

    mutating func take(at time: Double) -> Bool {
        tokens = min(burst, tokens + max(0, time - filledAt) * rate)
        filledAt = max(filledAt, time)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}

/// At most `limit` requests of one user in any second, by the two-counter approximation: the last whole second
/// counts for the share of it that is still in view.
struct SlidingWindowLimiter {
    private struct Window {
        var second = -1
        var count = 0
        var previous = 0
    }

    private let limit: Int
    private let capacity = 65_536
    private var windows: [Int: Window] = [:]

    init(limit: Int) { self.limit = limit }

    /// - Returns: how many more requests the user has; negative when this one is refused.
    mutating func take(user: Int, at time: Double) -> Int {
        let second = Int(time)
        // A full table forgets everyone: a limiter may be too kind for a second, it may not grow.
        if windows.count >= capacity { windows.removeAll(keepingCapacity: true) }
        var window = windows[user] ?? Window()
        if window.second != second {
            window.previous = window.second == second - 1 ? window.count : 0
            window.second = second
            window.count = 0
        }
        let inView = Double(window.previous) * (1 - (time - Double(second))) + Double(window.count)
        let remaining = limit - 1 - Int(inView)
        if remaining >= 0 { window.count += 1 }
        windows[user] = window
        return max(-1, remaining)
    }
}
