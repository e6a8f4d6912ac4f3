internal import Synchronization

/// What a query touched and what it could pass over, and why: the numbers behind `explain`. Shared by all its parts.
package final class QueryPlan: Sendable {
    /// What became of a block of a search.
    package enum BlockOutcome: Sendable {
        /// Passed over: the bounds in the directory (time, duration, errors) exclude it. Nothing was read.
        case bounds
        /// Passed over: its value filter excludes it. Only the filter was read.
        case values
        /// Columns were read, and no span matched.
        case readInVain
        case matched
    }

    package struct Counts: Hashable, Sendable {
        /// Heads and segments of the store when the query began.
        package var parts = 0
        /// Parts that were searched.
        package var partsSearched = 0
        package var partsOutsideOfTime = 0
        /// Of the parts searched: those whose list of services and operations was enough to say no.
        package var partsWithoutNames = 0
        /// Blocks of all segments searched; the sum of the five that follow.
        package var blocks = 0
        package var blocksWithoutNames = 0
        package var blocksOutOfBounds = 0
        package var blocksWithoutValues = 0
        package var blocksReadInVain = 0
        package var blocksMatched = 0
        /// Bytes that the search read from segments, filters included.
        package var searchBytes = 0

        /// Parts that could not change the page any more, because everything in them is older.
        package var partsNotNeeded: Int { max(0, parts - partsSearched - partsOutsideOfTime) }
    }

    private let state = Mutex(Counts())

    package init() {}

    package var counts: Counts { state.withLock { $0 } }

    /// A search of this many parts begins.
    package func begin(parts: Int) { state.withLock { $0.parts = parts } }

    package func notePart(searched: Bool) {
        state.withLock { counts in
            if searched { counts.partsSearched += 1 } else { counts.partsOutsideOfTime += 1 }
        }
    }

    /// A segment searched has no such tenant, service or operation.
    package func noteWithoutNames(blocks: Int) {
        state.withLock { counts in
            counts.partsWithoutNames += 1
            counts.blocks += blocks
            counts.blocksWithoutNames += blocks
        }
    }

    package func noteBlock(_ outcome: BlockOutcome, bytes: Int) {
        state.withLock { counts in
            counts.blocks += 1
            counts.searchBytes += bytes
            switch outcome {
            case .bounds: counts.blocksOutOfBounds += 1
            case .values: counts.blocksWithoutValues += 1
            case .readInVain: counts.blocksReadInVain += 1
            case .matched: counts.blocksMatched += 1
            }
        }
    }
}
