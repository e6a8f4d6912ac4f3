internal import WireFormats

/// `/api/crest/v1/snapshots`. Source: schemas/http-api.yaml, "Snapshot".
enum SnapshotsEndpoint {
    /// `POST`: makes one and answers when it is on disk.
    static func make(_ call: Call) -> Response {
        switch call.context.daemon.makeSnapshot() {
        case .success(let snapshot):
            var json = JSONWriter()
            write(snapshot, to: &json)
            return .json(json.bytes, status: 201)
        case .failure(let refusal): return OwnError.response(503, "no snapshot was made: \(refusal.reason)")
        }
    }

    /// `GET`: all there are, oldest first.
    static func list(_ call: Call) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.key("snapshots")
        json.beginArray()
        for snapshot in call.context.daemon.snapshots() { write(snapshot, to: &json) }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private static func write(_ snapshot: SnapshotFacts, to json: inout JSONWriter) {
        json.beginObject()
        json.string("id", snapshot.id)
        json.string("created", TimeText.rfc3339(nanoseconds: snapshot.createdUnixNano))
        json.number("spans", snapshot.spans)
        json.number("bytes", snapshot.bytes)
        json.number("segments", snapshot.segments)
        json.number("lastSequence", snapshot.lastSequence)
        json.string("path", snapshot.path)
        json.endObject()
    }
}
