package import Telemetry

/// A block that a query read: its seconds, both included.
package struct RecordedBlock: Hashable, Sendable {
    package var number: UInt64
    package var first: Int64
    package var through: Int64
    /// All series that had a value are in it.
    package var isFull: Bool

    init(_ facts: RecorderBlockFacts) {
        number = facts.number
        first = facts.first
        through = facts.through
        isFull = facts.isFull
    }
}

/// What a query of recorded series found.
package struct RecordedAnswer: Sendable {
    /// By family name, then by labels.
    package var series: [RecordedSeries] = []
    /// The blocks that were read, in order; between them nothing was recorded.
    package var blocks: [RecordedBlock] = []
    /// Chunks that could not be read; what they held is missing.
    package var damagedChunks = 0
}

/// Why a query of recorded series gave up.
package enum RecordedQueryError: Error, Hashable, Sendable {
    /// More series match than were asked for.
    case tooManySeries(limit: Int)
    case stopped(QueryStop)
}

extension MetricsEngine {
    private struct SeriesKey: Hashable {
        var family: String
        var kind: MetricFamilyKind
        var labels: [UInt8]
    }

    /// The series that `selector` means with their blocks that touch `from...through` (unix seconds), from the last
    /// full block before it on, so that values which did not change are known too.
    /// - Parameter segments: of the recorder; what they do not hold comes from memory.
    package func recorded(
        _ selector: RecordSelector, from: Int64, through: Int64, segments: any RecordedSegments, limit: Int,
        nowNanoseconds: Int64, budget: QueryBudget
    ) throws(RecordedQueryError) -> RecordedAnswer {
        // Memory first: a block that becomes a segment meanwhile is then known by its number.
        let blocks = recordedBlocks(selector, nowNanoseconds: nowNanoseconds)
        let known = Set(blocks.map(\.facts.number))
        var answer = RecordedAnswer()
        var found: [SeriesKey: RecordedSeries] = [:]
        for segment in segments.segments(from: from, through: through)
        where !known.contains(segment.facts.number) {
            answer.blocks.append(RecordedBlock(segment.facts))
            for (index, names) in segment.families.enumerated()
            where selector.mayMatch(firstFamily: names.first, lastFamily: names.last) {
                guard let bytes = segment.chunk(index) else {
                    answer.damagedChunks += 1
                    continue
                }
                if bytes.isEmpty { continue }
                do { try budget.charge(bytes.count) } catch { throw .stopped(error) }
                guard let series = RecorderChunkReader.read(bytes, of: segment.facts, selector) else {
                    answer.damagedChunks += 1
                    continue
                }
                for one in series { Self.add(one, to: &found) }
            }
            guard found.count <= limit else { throw .tooManySeries(limit: limit) }
        }
        for block in blocks {
            answer.blocks.append(RecordedBlock(block.facts))
            block.forEachSeries(matching: selector) { series in
                Self.add(series, to: &found)
                return found.count <= limit
            }
            guard found.count <= limit else { throw .tooManySeries(limit: limit) }
        }
        answer.series = found.values.sorted {
            ($0.family, $0.kind.rawValue) == ($1.family, $1.kind.rawValue)
                ? $0.labelText.lexicographicallyPrecedes($1.labelText)
                : ($0.family, $0.kind.rawValue) < ($1.family, $1.kind.rawValue)
        }
        return answer
    }

    private static func add(_ series: RecordedSeries, to found: inout [SeriesKey: RecordedSeries]) {
        let key = SeriesKey(family: series.family, kind: series.kind, labels: series.labelText)
        found[key, default: emptied(series)].pieces.append(contentsOf: series.pieces)
    }

    private static func emptied(_ series: RecordedSeries) -> RecordedSeries {
        var empty = series
        empty.pieces = []
        return empty
    }

    private func recordedBlocks(_ selector: RecordSelector, nowNanoseconds: Int64) -> [RecorderBlock] {
        withStore(nowNanoseconds: nowNanoseconds) { store in
            var blocks = store.recording.closed
            if let open = store.openBlock(nowSecond: store.nowSecond, selector) { blocks.append(open) }
            return blocks
        }
    }
}
