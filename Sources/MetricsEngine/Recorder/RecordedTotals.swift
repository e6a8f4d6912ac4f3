/// One series of cumulative values, second by second, as scrapes at the end of each second would show them.
package struct RecordedTotals: Sendable {
    /// The sample's name on a scrape.
    package var name: String
    /// The upper bound of a `_bucket` series; infinite for the last.
    package var bound: Double?
    /// Unix seconds, ascending: each second that was recorded and in which the series had a value.
    package var seconds: [Int64]
    package var values: [Double]
}

extension RecordedSeries {
    /// The series that a scrape shows of this one: one for a counter or gauge; for a histogram one for each bound, the
    /// sum and the count.
    ///
    /// A second that no block covers has no value: the daemon did not run, or it is not kept any more.
    package func totals(from: Int64, through: Int64) -> [RecordedTotals] {
        kind == .histogram
            ? histogramTotals(from: from, through: through) : [scalarTotals(from: from, through: through)]
    }

    private func scalarTotals(from: Int64, through: Int64) -> RecordedTotals {
        var totals = RecordedTotals(name: sampleNames[0], bound: nil, seconds: [], values: [])
        for piece in pieces {
            var value = piece.base
            var next = 0
            for second in Self.seconds(of: piece, from: from, through: through) {
                while next < piece.scalars.count, piece.scalars[next].second <= second {
                    let row = piece.scalars[next]
                    value = kind == .counter ? (value ?? 0) + row.value : row.value
                    next += 1
                }
                guard let value else { continue }
                totals.seconds.append(second)
                totals.values.append(value)
            }
        }
        return totals
    }

    private func histogramTotals(from: Int64, through: Int64) -> [RecordedTotals] {
        let limits: [Double?] = bounds + [.infinity]
        var buckets = limits.map { RecordedTotals(name: sampleNames[0], bound: $0, seconds: [], values: []) }
        var sums = RecordedTotals(name: sampleNames[1], bound: nil, seconds: [], values: [])
        var counts = RecordedTotals(name: sampleNames[2], bound: nil, seconds: [], values: [])
        for piece in pieces {
            var classic = piece.baseClassic.isEmpty ? Array(repeating: 0, count: limits.count) : piece.baseClassic
            var sum = piece.baseSum
            var hasValue = piece.base != nil
            var next = 0
            for second in Self.seconds(of: piece, from: from, through: through) {
                while next < piece.histograms.count, piece.histograms[next].second <= second {
                    let row = piece.histograms[next]
                    for (index, weight) in row.classic.enumerated() where index < classic.count {
                        classic[index] += weight
                    }
                    sum += row.sum
                    hasValue = true
                    next += 1
                }
                guard hasValue else { continue }
                var running = 0.0
                for index in buckets.indices where index < classic.count {
                    running += classic[index]
                    buckets[index].values.append(running)
                }
                sums.seconds.append(second)
                sums.values.append(sum)
                counts.values.append(running)
            }
        }
        counts.seconds = sums.seconds
        for index in buckets.indices { buckets[index].seconds = sums.seconds }
        return buckets + [sums, counts]
    }

    private static func seconds(of piece: RecordedPiece, from: Int64, through: Int64) -> Range<Int64> {
        let first = max(piece.first, from)
        let last = min(piece.through, through)
        return first <= last ? first..<(last + 1) : 0..<0
    }
}
