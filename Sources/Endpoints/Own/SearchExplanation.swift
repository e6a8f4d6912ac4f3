internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// Measures the stages of a request, one after another.
struct StageClock {
    private(set) var stages: [(name: String, nanoseconds: UInt64)] = []
    private var last = ContinuousClock.now

    mutating func end(_ stage: String) {
        let now = ContinuousClock.now
        let (seconds, attoseconds) = (now - last).components
        stages.append((stage, UInt64(clamping: seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)))
        last = now
    }
}

extension JSONWriter {
    /// What a search read and what it could pass over, and why. Source: schemas/query/search.md, "Explain".
    mutating func explanation(
        _ counts: QueryPlan.Counts, of summaries: [TraceSummary], stages: [(name: String, nanoseconds: UInt64)],
        bytesRead: Int
    ) {
        beginObject()
        key("traces")
        beginObject()
        number("listed", summaries.count)
        key("standFor")
        weight(summaries.reduce(0) { $0 + $1.weight })
        endObject()
        key("parts")
        beginObject()
        number("total", counts.parts)
        number("searched", counts.partsSearched)
        number("outsideOfTime", counts.partsOutsideOfTime)
        number("withoutNames", counts.partsWithoutNames)
        number("notNeeded", counts.partsNotNeeded)
        endObject()
        key("blocks")
        beginObject()
        number("total", counts.blocks)
        number("withoutNames", counts.blocksWithoutNames)
        number("outOfBounds", counts.blocksOutOfBounds)
        number("withoutValues", counts.blocksWithoutValues)
        number("readInVain", counts.blocksReadInVain)
        number("matched", counts.blocksMatched)
        endObject()
        number("searchBytes", counts.searchBytes)
        number("bytesCharged", bytesRead)
        key("stages")
        beginArray()
        for stage in stages {
            beginObject()
            string("name", stage.name)
            number("nanoseconds", stage.nanoseconds)
            endObject()
        }
        endArray()
        endObject()
    }
}
