internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `GET /api/crest/v1/rejects`: why lines of the tenant were refused, how many, and the last of each kind.
    func listRejects(_ request: Request) -> Response {
        let counts = owner.lineCounts(ledger)
        var json = JSONWriter()
        json.beginObject()
        json.number("seen", counts.seen)
        json.number("applied", counts.applied)
        json.key("rejects")
        json.beginArray()
        for (reason, count) in zip(LineRejection.allCases, counts.rejected)
        where count > 0 || examples[reason] != nil {
            json.beginObject()
            json.string("reason", reason.rawValue)
            json.string("meaning", reason.explanation)
            json.number("count", count)
            json.key("example")
            write(examples[reason], to: &json)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private func write(_ example: RejectExamples.Example?, to json: inout JSONWriter) {
        guard let example else { return json.null() }
        json.beginObject()
        json.string("line", String(decoding: example.line, as: UTF8.self))
        json.number("bytes", example.lineBytes)
        json.bool("isCut", example.lineBytes > example.line.count)
        json.string("seenUnixNano", String(example.seenNanoseconds))
        json.endObject()
    }
}
