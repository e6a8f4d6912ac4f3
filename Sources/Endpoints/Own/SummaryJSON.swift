internal import SpanPipeline
internal import Telemetry
internal import WireFormats

extension JSONWriter {
    /// One trace of a list. Ids have 32 digits; 64-bit nanoseconds are strings, as in OTLP's JSON.
    /// Source: schemas/http-api.yaml, "TraceSummary".
    mutating func summary(_ summary: TraceSummary) {
        beginObject()
        summaryMembers(summary)
        endObject()
    }

    mutating func summaryMembers(_ summary: TraceSummary) {
        string("traceID", summary.traceID.hex32)
        string("rootService", summary.rootService)
        string("rootName", summary.rootName)
        string("start", TimeText.rfc3339(nanoseconds: summary.start))
        string("startUnixNano", String(summary.start))
        number("durationNanos", summary.duration)
        number("spanCount", summary.spanCount)
        number("errorCount", summary.errorCount)
        key("weight")
        weight(summary.weight)
        key("services")
        beginArray()
        for service in summary.services {
            beginObject()
            string("name", service.name)
            number("spanCount", service.spanCount)
            number("errorCount", service.errorCount)
            endObject()
        }
        endArray()
    }

    /// Clocks that disagree; left out when none does. Source: schemas/query/clock-skew.md.
    mutating func clockOffsets(_ offsets: [ClockOffset]) {
        guard !offsets.isEmpty else { return }
        key("clockOffsets")
        beginArray()
        for offset in offsets {
            beginObject()
            string("service", offset.service)
            string("host", offset.host)
            string("parentService", offset.parentService)
            string("parentHost", offset.parentHost)
            number("aheadNanos", offset.ahead)
            number("spanCount", offset.spanCount)
            endObject()
        }
        endArray()
    }

    /// Whole numbers, as thinning makes them, without a fraction.
    mutating func weight(_ weight: Double) {
        if let whole = UInt64(exactly: weight) { number(whole) } else { number(weight) }
    }

    mutating func strings(_ list: [String]) {
        beginArray()
        for text in list { string(text) }
        endArray()
    }
}
