internal import MetricsEngine
internal import Telemetry
internal import WireFormats

/// What the engine says about its own contents. Source: schemas/http-api.yaml.
extension MetricsService {
    /// `GET /api/crest/v1/metrics/cardinality?limit=`: who makes the series.
    func cardinality(_ request: Request) -> Response {
        let limit: Int
        do { limit = try ReportParameters(request).limit } catch { return refuse(error) }
        let report = engine.cardinality(top: limit, nowNanoseconds: Int64(clamping: now()))
        var json = JSONWriter()
        json.beginObject()
        json.number("series", report.counts.series)
        json.key("limits")
        json.beginObject()
        json.number("total", report.limits.series)
        json.number("family", report.limits.seriesPerFamily)
        json.number("source", report.limits.seriesPerSource)
        json.number("families", report.limits.families)
        json.endObject()
        json.key("refused")
        json.beginObject()
        json.number("total", report.counts.overflowed.total)
        json.number("family", report.counts.overflowed.family)
        json.number("source", report.counts.overflowed.source)
        json.number("families", report.counts.overflowed.families)
        json.endObject()
        json.key("families")
        json.beginArray()
        for family in report.families { write(family, to: &json) }
        json.endArray()
        json.key("sources")
        json.beginArray()
        for source in report.sources {
            json.beginObject()
            json.string("name", source.name)
            json.number("series", source.series)
            json.number("addedPerMinute", source.addedPerMinute)
            json.number("refused", source.refused)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private func write(_ family: CardinalityReport.Family, to json: inout JSONWriter) {
        json.beginObject()
        json.string("name", family.name)
        json.string("type", Self.typeName(family.kind))
        json.number("series", family.series)
        json.number("addedPerMinute", family.addedPerMinute)
        json.number("refused", family.refused)
        json.key("labels")
        json.beginArray()
        for label in family.labels {
            json.beginObject()
            json.string("name", label.name)
            json.number("values", Int(label.values.rounded()))
            json.string("example", label.example)
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }

    /// `GET /api/crest/v1/metrics/conflicts`: families that another type kept from their name.
    func conflicts(_ request: Request) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.key("conflicts")
        json.beginArray()
        for conflict in engine.typeConflicts {
            json.beginObject()
            json.string("name", conflict.name)
            json.string("kept", conflict.kept)
            json.string("keptType", Self.typeName(conflict.keptKind))
            json.string("renamed", conflict.renamed)
            json.string("renamedType", Self.typeName(conflict.renamedKind))
            let first = UInt64(clamping: conflict.firstSeenSecond).multipliedReportingOverflow(by: 1_000_000_000)
            json.string("firstSeen", TimeText.rfc3339(nanoseconds: first.overflow ? 0 : first.partialValue))
            json.number("keys", conflict.keys)
            let labels = conflict.exampleLabels
            json.string("example", labels.isEmpty ? conflict.exampleName : "\(conflict.exampleName){\(labels)}")
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    /// `GET /api/crest/v1/metrics/top?by=family|series&name=&limit=`: what grows fastest now.
    func top(_ request: Request) -> Response {
        let parameters: ReportParameters
        do { parameters = try ReportParameters(request) } catch { return refuse(error) }
        let report = engine.rates(
            top: parameters.limit, bySeries: parameters.bySeries, name: parameters.name,
            nowNanoseconds: Int64(clamping: now()))
        var json = JSONWriter()
        json.beginObject()
        json.number("seconds", report.seconds)
        json.number("active", report.active)
        json.key("rows")
        json.beginArray()
        for row in report.rows {
            json.beginObject()
            json.string("name", row.name)
            json.string("type", Self.typeName(row.kind))
            json.key("labels")
            json.beginObject()
            for label in row.labels {
                json.key(escaping: label.name)
                json.string(label.value)
            }
            json.endObject()
            json.number("series", row.series)
            json.number("perSecond", row.perSecond)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private func refuse(_ failure: ReportParameters.Failure) -> Response {
        ledger.requestsRejected.add(1, .parameter)
        return OwnError.response(400, failure.message, parameter: failure.parameter)
    }
}

/// The parameters of a report.
private struct ReportParameters {
    struct Failure: Error {
        var message: String
        var parameter: String?
    }

    var limit = 20
    var bySeries = false
    var name: String?

    init(_ request: Request) throws(Failure) {
        let query: QueryParameters
        do { query = try QueryParameters(request.rawQuery) } catch {
            throw Failure(message: error.description, parameter: nil)
        }
        name = query.nonEmpty("name")
        if let text = query.nonEmpty("limit") {
            guard let value = Int(text), (1...1_000).contains(value) else {
                throw Failure(message: "'\(text)' is not a number from 1 to 1000", parameter: "limit")
            }
            limit = value
        }
        switch query.nonEmpty("by") {
        case nil, "family": bySeries = false
        case "series": bySeries = true
        case let text?: throw Failure(message: "'\(text)' is neither family nor series", parameter: "by")
        }
    }
}
