internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `POST /api/v1/statsd`: lines in any StatsD dialect. 202, whatever became of the single lines.
    func postStatsD(_ request: Request) -> Response {
        let report = receive(body: request.body)
        var json = JSONWriter()
        json.beginObject()
        json.number("accepted", report.accepted)
        json.key("rejected")
        json.beginObject()
        for reason in LineRejection.allCases {
            guard let count = report.rejected[reason] else { continue }
            json.key(escaping: reason.rawValue)
            json.number(count)
        }
        json.endObject()
        json.endObject()
        return .json(json.bytes, status: 202)
    }
}
