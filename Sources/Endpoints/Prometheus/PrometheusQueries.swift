internal import QueryEngine
internal import Telemetry
internal import WireFormats

/// The Prometheus query API over the recorded series, under `/prometheus/api/v1`. Source: schemas/query/promql.md.
enum PrometheusQueries {
    /// `GET` and `POST /query?query=&time=`.
    static func instant(_ call: Call) -> Response {
        answer(call) { source, parameters throws(PrometheusFailure) in
            let time = try parameters.time("time", missing: now(call))
            let query = try parse(parameters, source)
            let result = try running { () throws(PromQueryError) in try query.instant(at: time, budget: call.budget) }
            return PrometheusEnvelope.success { PrometheusResultJSON.write(result, to: &$0) }
        }
    }

    /// `GET` and `POST /query_range?query=&start=&end=&step=`.
    static func range(_ call: Call) -> Response {
        answer(call) { source, parameters throws(PrometheusFailure) in
            let start = try parameters.time("start", missing: nil)
            let end = try parameters.time("end", missing: nil)
            guard end >= start else {
                throw .invalid("end", "end timestamp must not be before start time")
            }
            let step = try parameters.step()
            let query = try parse(parameters, source)
            let series = try running { () throws(PromQueryError) in
                try query.range(from: start, through: end, step: step, budget: call.budget)
            }
            return PrometheusEnvelope.success { PrometheusResultJSON.write(.matrix(series), to: &$0) }
        }
    }

    /// `GET /status/buildinfo`: the version tells clients which language they may speak.
    static func buildInfo(_ call: Call) -> Response {
        PrometheusEnvelope.success { json in
            json.beginObject()
            json.string("version", "2.42.0")
            json.string("application", "Crest")
            for name in ["revision", "branch", "buildUser", "buildDate", "goVersion"] {
                json.key(escaping: name)
                json.string("")
            }
            json.endObject()
        }
    }

    /// `GET /metadata`: types and help texts are on `/metrics`; here there are none.
    static func metadata(_ call: Call) -> Response {
        PrometheusEnvelope.success { json in
            json.beginObject()
            json.endObject()
        }
    }

    static func now(_ call: Call) -> Int64 { Int64(clamping: call.context.now() / 1_000_000) }

    private static func parse(
        _ parameters: PrometheusParameters, _ source: any SampleSource
    ) throws(PrometheusFailure) -> PromQuery {
        do { return PromQuery(try PromExpression(parsing: parameters["query"] ?? ""), source: source) } catch {
            throw .query(.parse(error))
        }
    }

    private static func running<Result>(
        _ body: () throws(PromQueryError) -> Result
    ) throws(PrometheusFailure) -> Result {
        do { return try body() } catch { throw .query(error) }
    }

    /// Reads the parameters and words what `body` throws.
    static func answer(
        _ call: Call,
        _ body: (any SampleSource, PrometheusParameters) throws(PrometheusFailure) -> Response
    ) -> Response {
        guard let source = call.context.samples else {
            return PrometheusEnvelope.failure(503, type: "unavailable", "no series are recorded in this daemon")
        }
        switch call.plainBody() {
        case .failure(let refused): return refused.response
        case .success(let plain):
            do throws(PrometheusFailure) {
                return try body(source, try PrometheusParameters(call, body: plain))
            } catch {
                switch error {
                case .parameter(let message): return call.badRequest(message)
                case .query(let defect): return call.failure(defect)
                }
            }
        }
    }
}

/// Why a request of this API failed.
enum PrometheusFailure: Error {
    /// The message is Prometheus' own.
    case parameter(String)
    case query(PromQueryError)

    static func invalid(_ name: String, _ message: String) -> PrometheusFailure {
        .parameter("invalid parameter \"\(name)\": \(message)")
    }
}
