/// What happened in the last sixty seconds, second by second.
package struct SlidingWindow: Sendable {
    /// Of one second, or of many.
    package struct Counts: Hashable, Sendable {
        package var requests: UInt64
        /// Bytes of bodies as sent.
        package var bytes: UInt64
        package var spans: UInt64
        package var refused: UInt64

        package init(requests: UInt64 = 0, bytes: UInt64 = 0, spans: UInt64 = 0, refused: UInt64 = 0) {
            self.requests = requests
            self.bytes = bytes
            self.spans = spans
            self.refused = refused
        }

        static func += (left: inout Counts, right: Counts) {
            left.requests &+= right.requests
            left.bytes &+= right.bytes
            left.spans &+= right.spans
            left.refused &+= right.refused
        }
    }

    static let seconds: UInt64 = 60

    private var cells = [(second: UInt64, counts: Counts)](
        repeating: (0, Counts()), count: Int(SlidingWindow.seconds))

    package init() {}

    package mutating func add(_ counts: Counts, second: UInt64) {
        let index = Int(second % Self.seconds)
        if cells[index].second != second { cells[index] = (second, Counts()) }
        cells[index].counts += counts
    }

    /// The second `now` and the 59 before it.
    package func sum(now: UInt64) -> Counts {
        var sum = Counts()
        for cell in cells where cell.second <= now && now - cell.second < Self.seconds { sum += cell.counts }
        return sum
    }
}
