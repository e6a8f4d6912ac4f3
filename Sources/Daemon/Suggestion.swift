/// The likeliest word that was meant.
enum Suggestion {
    /// The candidate nearest to `word` by edits, when it is near enough to be a slip.
    static func nearest(to word: String, among candidates: [String]) -> String? {
        // A word of any length may come from a file; what is far longer than every candidate is no slip.
        guard word.utf8.count <= 64 else { return nil }
        let ranked = candidates.map { (distance(Array(word.utf8), Array($0.utf8)), $0) }
        guard let best = ranked.min(by: { $0.0 < $1.0 }) else { return nil }
        return best.0 <= max(2, best.1.utf8.count / 3) ? best.1 : nil
    }

    /// Insertions, deletions, replacements and swaps of neighbours.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, byte) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(current[column] + 1, last[column + 1] + 1, last[column] + (byte == other ? 0 : 1))
                if row > 0, column > 0, byte == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
