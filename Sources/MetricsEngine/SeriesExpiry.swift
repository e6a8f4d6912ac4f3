/// What the engine counts about series that go quiet. All but `remembered` only grow.
package struct ExpiryCounts: Hashable, Sendable {
    /// Series that left the scrape.
    package var expired: UInt64 = 0
    /// Of these, updated again while they still had their number.
    package var returned: UInt64 = 0
    /// Series that were removed: their number and memory went to others.
    package var removed: UInt64 = 0
    /// Values of removed counters and gauges that would go on if they returned.
    package var remembered = 0
    /// Values that were forgotten for want of room.
    package var forgotten: UInt64 = 0
}

/// Whether each series is shown, and what becomes of one that is quiet.
///
///     new ----> present --(expiry time)--> expired --(gone from live windows)--> retired ----> removed
///                  ^------------- any update -'----------------------------------'
struct SeriesExpiry: ~Copyable {
    private enum State: UInt8 {
        /// New, without a value, not on scrapes.
        case new
        case present
        /// Not on scrapes any more.
        case expired
        /// Not on scrapes, off the wheel, in a batch or waiting for one.
        case retired
        /// The number is free.
        case removed
    }

    /// Fewer retired series wait this long for company: each batch makes every shard look through its keys.
    private static let batchSeconds: Int64 = 10
    private static let batchSeries = 1_024
    /// One second more than live windows live.
    private static let quietSeconds = LiveWindows.seconds + 1

    private var policy: ExpiryPolicy
    private var states: [State] = []
    private var wheel = ExpiryWheel()
    /// Series that a rule has given a time of their own, in seconds.
    private(set) var lifetimes: [UInt32: Int64] = [:]
    private var waiting: [UInt32] = []
    private var firstRetired: Int64 = 0
    private(set) var expired: UInt64 = 0
    private(set) var returned: UInt64 = 0
    private(set) var removedCount: UInt64 = 0

    init(_ policy: ExpiryPolicy) { self.policy = policy }

    /// Every series that is watched comes due at once: one that the old policy never looked at again is found, too.
    mutating func setPolicy(_ next: ExpiryPolicy) {
        guard next != policy else { return }
        policy = next
        wheel.clear()
        for series in states.indices {
            switch states[series] {
            case .new, .present, .expired: wheel.schedule(UInt32(truncatingIfNeeded: series), delay: 1)
            case .retired, .removed: break
            }
        }
    }

    mutating func append(now: Int64) {
        states.append(.new)
        wheel.append(now: now)
    }

    /// A number that is free from the start, as a checkpoint has it.
    mutating func appendVacancy() {
        states.append(.removed)
        wheel.appendVacancy()
    }

    /// A free number has a new series.
    mutating func restart(_ series: UInt32, now: Int64) {
        states[Int(series)] = .new
        wheel.restart(series, now: now)
    }

    /// It holds from the next look at the series on: at once for a new one, within 1,023 seconds for others.
    /// - Parameter seconds: 0: that of the type again.
    mutating func setLifetime(_ seconds: Int64, of series: UInt32) {
        guard states[Int(series)] != .removed else { return }
        lifetimes[series] = seconds == 0 ? nil : seconds
    }

    /// - Parameter second: Unix time of the update; 0: not known, which counts as the first ``advance(to:kind:)``.
    @inline(__always)
    mutating func noteUpdate(_ series: UInt32, second: Int64) {
        let index = Int(series)
        wheel.noteUpdate(index, second: second)
        if states[index] != .present { show(series) }
    }

    /// Unix second of the last update of a series; 0 when it is not known.
    func lastUpdate(_ series: Int) -> Int64 { wheel.lastUpdate(series) }

    mutating func restoreLastUpdate(_ second: Int64, of series: Int) { wheel.setLastUpdate(second, of: series) }

    @inline(never)
    private mutating func show(_ series: UInt32) {
        switch states[Int(series)] {
        case .present, .removed: return
        case .new: break
        case .expired: returned += 1
        case .retired:
            returned += 1
            wheel.restart(series, now: wheel.lastUpdate(Int(series)))
        }
        states[Int(series)] = .present
    }

    func isPresent(_ series: UInt32) -> Bool { states[Int(series)] == .present }

    func retired(of batch: [UInt32]) -> [UInt32] {
        var still: [UInt32] = []
        for series in batch where states[Int(series)] == .retired { still.append(series) }
        return still
    }

    /// A series that was to be retired and is wanted again goes back on the watch.
    mutating func keep(_ series: UInt32) {
        guard states[Int(series)] == .retired else { return }
        states[Int(series)] = .expired
        wheel.restart(series, now: wheel.lastUpdate(Int(series)))
    }

    /// The series must be off the wheel, or the wheel not be started.
    mutating func remove(_ series: UInt32) {
        states[Int(series)] = .removed
        lifetimes[series] = nil
        removedCount += 1
    }

    /// Looks at what has come due.
    /// - Returns: the series that expired.
    mutating func advance(to now: Int64, kind: (UInt32) -> MetricFamilyKind) -> [UInt32] {
        var gone: [UInt32] = []
        // What an earlier process has seen expire is not counted anew.
        let isCounted = wheel.isStarted
        for series in wheel.takeDue(by: now) where states[Int(series)] != .removed {
            let limit = lifetimes[series] ?? policy.seconds(of: kind(series))
            guard limit > 0 else { continue }
            let age = wheel.age(series, now: now)
            if states[Int(series)] == .present {
                if age < limit {
                    wheel.schedule(series, delay: limit - age)
                    continue
                }
                states[Int(series)] = .expired
                if isCounted { expired += 1 }
                gone.append(series)
            }
            let rest = max(limit, Self.quietSeconds) - age
            // Not later than one that is updated now would be due.
            if rest > 0 { wheel.schedule(series, delay: min(rest, limit)) } else { retire(series, now) }
        }
        return gone
    }

    private mutating func retire(_ series: UInt32, _ now: Int64) {
        states[Int(series)] = .retired
        if waiting.isEmpty { firstRetired = now }
        waiting.append(series)
    }

    /// The retired series, each once, when there are enough of them or they have waited long enough.
    mutating func takeRetired(second: Int64) -> [UInt32] {
        guard waiting.count >= Self.batchSeries || (second - firstRetired >= Self.batchSeconds && !waiting.isEmpty)
        else { return [] }
        // One that was updated again and retired again is listed twice.
        let batch = Set(retired(of: waiting)).sorted()
        waiting = []
        return batch
    }
}
