/// Some of the spans of a batch or body, by their index.
package struct SpanSelection: Hashable, Sendable {
    package let count: Int
    private var words: [UInt64]

    /// None of `count` spans.
    package init(count: Int) {
        self.count = count
        words = Array(repeating: 0, count: (max(count, 0) + 63) / 64)
    }

    package mutating func insert(_ index: Int) {
        guard index >= 0, index < count else { return }
        words[index >> 6] |= 1 << UInt64(index & 63)
    }

    /// False beyond the end.
    package func contains(_ index: Int) -> Bool {
        guard index >= 0, index < count else { return false }
        return words[index >> 6] & 1 << UInt64(index & 63) != 0
    }

    package var selectedCount: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    package var inverted: SpanSelection {
        var other = SpanSelection(count: count)
        for index in 0..<count where !contains(index) { other.insert(index) }
        return other
    }
}
