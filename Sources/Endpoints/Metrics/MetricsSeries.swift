internal import MetricsEngine
internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `GET /api/crest/v1/series?name=&label=k:v&quantile=&window=&limit=`: series as they are now.
    func listSeries(_ request: Request) -> Response {
        let parameters: SeriesParameters
        do { parameters = try SeriesParameters(request) } catch {
            ledger.requestsRejected.add(1, .parameter)
            return OwnError.response(400, error.message, parameter: error.parameter)
        }
        let answer = engine.query(
            parameters.selector, quantile: parameters.quantile, lastSeconds: parameters.windowSeconds,
            limit: parameters.limit, nowNanoseconds: Int64(clamping: now()))
        var json = JSONWriter()
        json.beginObject()
        json.key("series")
        json.beginArray()
        for series in answer.series { write(series, to: &json) }
        json.endArray()
        json.bool("isCut", answer.isCut)
        if let quantile = parameters.quantile {
            json.key("quantile")
            json.beginObject()
            json.number("q", quantile)
            json.key("value")
            if let value = answer.quantile { json.number(value) } else { json.null() }
            json.number("observations", answer.observations)
            json.endObject()
        }
        json.endObject()
        return .json(json.bytes)
    }

    private func write(_ series: SeriesSummary, to json: inout JSONWriter) {
        json.beginObject()
        json.string("name", series.name)
        json.string("type", Self.typeName(series.kind))
        json.key("labels")
        json.beginObject()
        for label in series.labels {
            json.key(escaping: label.name)
            json.string(label.value)
        }
        json.endObject()
        if let sum = series.sum {
            json.number("count", series.value)
            json.number("sum", sum)
        } else {
            json.number("value", series.value)
        }
        if let quantile = series.quantile { json.number("quantile", quantile) }
        json.endObject()
    }

    static func typeName(_ kind: MetricFamilyKind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge, .distinct: "gauge"
        case .histogram: "histogram"
        }
    }
}

/// The parameters of a series query.
private struct SeriesParameters {
    struct Failure: Error {
        var message: String
        var parameter: String?
    }

    var selector = SeriesSelector()
    var quantile: Double?
    var windowSeconds: Int?
    var limit = 1_000

    init(_ request: Request) throws(Failure) {
        let query: QueryParameters
        do { query = try QueryParameters(request.rawQuery) } catch {
            throw Failure(message: error.description, parameter: nil)
        }
        selector.name = query.nonEmpty("name")
        for text in query.all("label") {
            guard let mark = text.firstIndex(where: { $0 == ":" || $0 == "=" }), mark > text.startIndex else {
                throw Failure(message: "'\(text)' is not a label: key:value", parameter: "label")
            }
            selector.labels.append((String(text[..<mark]), String(text[text.index(after: mark)...])))
        }
        if let text = query.nonEmpty("quantile") {
            guard let value = Double(text), value >= 0, value <= 1 else {
                throw Failure(message: "'\(text)' is not a quantile from 0 to 1", parameter: "quantile")
            }
            quantile = value
        }
        if let text = query.nonEmpty("window") {
            guard let nanoseconds = DurationText.nanoseconds(text), nanoseconds >= 1_000_000_000,
                nanoseconds <= 60_000_000_000
            else { throw Failure(message: "'\(text)' is not a duration from 1s to 60s", parameter: "window") }
            windowSeconds = Int(nanoseconds / 1_000_000_000)
        }
        if let text = query.nonEmpty("limit") {
            guard let value = Int(text), (1...100_000).contains(value) else {
                throw Failure(message: "'\(text)' is not a number from 1 to 100000", parameter: "limit")
            }
            limit = value
        }
    }
}
