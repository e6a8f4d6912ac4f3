/// When each series was last updated, and a wheel of seconds that asks again when it may have been long enough.
///
///     slot: second & 1023 -> series -> series -> ...        a list through `next`
///
/// An update writes one number and leaves the wheel alone. Only when a slot comes due is each of its series looked at;
/// one that was updated meanwhile goes into a later slot. A series is looked at no more than once per
/// expiry time, or once in 1,023 seconds where that is shorter.
///
/// Until the clock is first asked the wheel stands still: what a log restores is only noted, and everything is due at
/// the first question.
struct ExpiryWheel: ~Copyable {
    private static let slots: Int64 = 1_024
    private static let none = UInt32.max

    private var heads = [UInt32](repeating: none, count: Int(slots))
    private var next: [UInt32] = []
    /// Unix seconds; 0: not known.
    private var lastSeen: [UInt32] = []
    /// All slots up to and including this second have been looked at; nil before the first question.
    private var position: Int64?

    var isStarted: Bool { position != nil }

    /// Makes room for one more series and puts it on the wheel.
    mutating func append(now: Int64) {
        next.append(Self.none)
        lastSeen.append(UInt32(clamping: now))
        schedule(UInt32(truncatingIfNeeded: next.count - 1), delay: 1)
    }

    /// Takes everything off.
    mutating func clear() {
        for slot in heads.indices { heads[slot] = Self.none }
    }

    /// Makes room for a number that is on no list.
    mutating func appendVacancy() {
        next.append(Self.none)
        lastSeen.append(0)
    }

    /// Puts a series that is on no list back, last updated at `now`, Unix seconds.
    mutating func restart(_ series: UInt32, now: Int64) {
        lastSeen[Int(series)] = UInt32(clamping: now)
        schedule(series, delay: 1)
    }

    @inline(__always)
    mutating func noteUpdate(_ series: Int, second: Int64) {
        let second = UInt32(clamping: second)
        if second > lastSeen[series] { lastSeen[series] = second }
    }

    /// Unix second of the last update; 0 when it is not known.
    func lastUpdate(_ series: Int) -> Int64 { Int64(lastSeen[series]) }

    mutating func setLastUpdate(_ second: Int64, of series: Int) { lastSeen[series] = UInt32(clamping: second) }

    /// Takes off the wheel every series whose slot has come due by `now`.
    mutating func takeDue(by now: Int64) -> [UInt32] {
        guard let position else {
            self.position = now
            for index in lastSeen.indices where lastSeen[index] == 0 { lastSeen[index] = UInt32(clamping: now) }
            return Array(0..<UInt32(truncatingIfNeeded: next.count))
        }
        let steps = min(now &- position, Self.slots)
        self.position = now
        guard steps > 0 else { return [] }
        var due: [UInt32] = []
        for second in (now - steps + 1)...now {
            let slot = Int(second & (Self.slots - 1))
            var series = heads[slot]
            heads[slot] = Self.none
            while series != Self.none {
                due.append(series)
                series = next[Int(series)]
            }
        }
        return due
    }

    /// Seconds since the last update.
    func age(_ series: UInt32, now: Int64) -> Int64 { now &- Int64(lastSeen[Int(series)]) }

    /// Puts a series that is on no list where it will be due in `delay` seconds, or earlier.
    mutating func schedule(_ series: UInt32, delay: Int64) {
        guard let position else { return }
        let due = position &+ min(max(delay, 1), Self.slots - 1)
        let slot = Int(due & (Self.slots - 1))
        next[Int(series)] = heads[slot]
        heads[slot] = series
    }
}
