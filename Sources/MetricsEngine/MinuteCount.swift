/// How often something happened in about the last minute.
struct MinuteCount: Sendable {
    private var minute: Int64 = 0
    private var current: UInt32 = 0
    private var previous: UInt32 = 0

    mutating func add(second: Int64) {
        roll(to: second / 60)
        current &+= 1
    }

    private mutating func roll(to now: Int64) {
        guard now != minute else { return }
        previous = now == minute + 1 ? current : 0
        current = 0
        minute = now
    }

    /// The events of this minute and the share of those of the minute before that a window of 60 s still covers.
    func perMinute(second: Int64) -> Double {
        var copy = self
        copy.roll(to: second / 60)
        let share = Double(60 - second % 60) / 60
        return Double(copy.current) + Double(copy.previous) * share
    }
}
