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
    /// In a block that does not name it a series stood still, unless the block is a full one: then it was gone. A second
    /// that no block covers has no value: the daemon did not run, or it is not kept any more.
    /// - Parameter blocks: those of the answer that the series stands in.
    package func totals(from: Int64, through: Int64, blocks: [RecordedBlock]) -> [RecordedTotals] {
        let limits: [Double?] = kind == .histogram ? bounds + [.infinity] : [nil]
        var walk = TotalsWalk(self, cells: limits.count)
        walk.run(from: from, through: through, blocks: blocks)
        guard kind == .histogram else {
            return [RecordedTotals(name: sampleNames[0], bound: nil, seconds: walk.seconds, values: walk.cells[0])]
        }
        var totals = limits.enumerated().map { index, bound in
            RecordedTotals(name: sampleNames[0], bound: bound, seconds: walk.seconds, values: walk.cells[index])
        }
        totals.append(RecordedTotals(name: sampleNames[1], bound: nil, seconds: walk.seconds, values: walk.sums))
        totals.append(
            RecordedTotals(name: sampleNames[2], bound: nil, seconds: walk.seconds, values: walk.cells.last ?? []))
        return totals
    }
}

/// Goes through the blocks of a series second by second.
private struct TotalsWalk {
    private let series: RecordedSeries
    /// The values now: one, or a histogram's count by bucket.
    private var now: [Double]
    private var sum = 0.0
    private var hasValue = false
    private(set) var seconds: [Int64] = []
    /// For each bucket its cumulative counts; for a counter or gauge one list of values.
    private(set) var cells: [[Double]]
    private(set) var sums: [Double] = []

    init(_ series: RecordedSeries, cells count: Int) {
        self.series = series
        now = Array(repeating: 0, count: count)
        cells = Array(repeating: [], count: count)
    }

    mutating func run(from: Int64, through: Int64, blocks: [RecordedBlock]) {
        var next = 0
        for block in blocks {
            var piece: RecordedPiece?
            if next < series.pieces.count, series.pieces[next].block == block.number {
                piece = series.pieces[next]
                next += 1
            }
            if let piece { begin(piece) } else if block.isFull { hasValue = false }
            var row = 0
            for second in range(of: block, from: from, through: through) {
                if let piece { apply(piece, &row, until: second) }
                if hasValue { emit(second) }
            }
            if let piece { apply(piece, &row, until: .max) }
        }
    }

    private func range(of block: RecordedBlock, from: Int64, through: Int64) -> Range<Int64> {
        let first = max(block.first, from, seconds.last.map { $0 + 1 } ?? .min)
        let last = min(block.through, through)
        return first <= last ? first..<(last + 1) : 0..<0
    }

    private mutating func begin(_ piece: RecordedPiece) {
        hasValue = piece.base != nil
        sum = piece.baseSum
        if series.kind != .histogram {
            now[0] = piece.base ?? 0
        } else {
            for index in now.indices { now[index] = index < piece.baseClassic.count ? piece.baseClassic[index] : 0 }
        }
    }

    private mutating func apply(_ piece: RecordedPiece, _ row: inout Int, until second: Int64) {
        while row < piece.scalars.count, piece.scalars[row].second <= second {
            let value = piece.scalars[row].value
            now[0] = series.kind == .counter ? now[0] + value : value
            hasValue = true
            row += 1
        }
        while row < piece.histograms.count, piece.histograms[row].second <= second {
            let change = piece.histograms[row]
            for (index, weight) in change.classic.enumerated() where index < now.count { now[index] += weight }
            sum += change.sum
            hasValue = true
            row += 1
        }
    }

    private mutating func emit(_ second: Int64) {
        seconds.append(second)
        guard series.kind == .histogram else { return cells[0].append(now[0]) }
        var running = 0.0
        for index in now.indices {
            running += now[index]
            cells[index].append(running)
        }
        sums.append(sum)
    }
}
