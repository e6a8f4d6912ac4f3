internal import Telemetry
internal import WireFormats

/// `GET /api/crest/v1/status`. Source: schemas/http-api.yaml, "Status".
enum StatusReport {
    static func get(_ call: Call) -> Response {
        let status = call.context.daemon.status()
        let account = SpanAccount.read(call.context)
        let now = call.context.now()
        var json = JSONWriter()
        json.beginObject()
        json.string("version", status.version)
        json.bool("ready", call.context.daemon.isReady())
        json.string("started", TimeText.rfc3339(nanoseconds: status.startedUnixNano))
        json.number("uptimeSeconds", now > status.startedUnixNano ? (now - status.startedUnixNano) / 1_000_000_000 : 0)
        json.string("durability", call.context.durability.rawValue)
        json.key("listeners")
        json.beginObject()
        for listener in status.listeners {
            json.key(escaping: listener.name)
            json.string(listener.address)
        }
        json.endObject()
        json.key("store")
        json.beginObject()
        json.string("dataDirectory", status.dataDirectory)
        json.number("liveSpans", account.store.live)
        json.number("segmentCount", status.segmentCount)
        json.number("segmentBytes", status.segmentBytes)
        json.number("headSpans", status.headSpanCount)
        json.number("headBytes", status.headBytes)
        json.number("walBytes", status.walBytes)
        json.number("snapshotHeldBytes", status.snapshotHeldBytes)
        json.number("pinnedTraces", status.pinnedTraceCount)
        json.key("classes")
        json.beginObject()
        for kind in status.classes {
            json.key(escaping: kind.name)
            json.beginObject()
            json.number("segments", kind.segments)
            json.number("spans", kind.spans)
            json.number("bytes", kind.bytes)
            json.endObject()
        }
        json.endObject()
        json.number("durableSequence", call.context.daemon.durableSequence())
        json.endObject()
        json.number("seriesCount", status.seriesCount)
        json.number("residentBytes", status.residentBytes)
        json.bool("ledgerBalanced", account.isBalanced)
        json.key("warnings")
        json.strings(status.warnings)
        json.endObject()
        return .json(json.bytes)
    }
}
