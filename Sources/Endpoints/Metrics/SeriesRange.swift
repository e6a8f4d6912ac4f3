internal import MetricsEngine
internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `GET /api/crest/v1/series/range`: what was recorded, second by second.
    func seriesRange(_ request: Request, _ budget: QueryBudget) -> Response {
        let parameters: SeriesRangeParameters
        do { parameters = try SeriesRangeParameters(request, now: now()) } catch {
            ledger.requestsRejected.add(1, .parameter)
            return OwnError.response(400, error.message, parameter: error.parameter)
        }
        guard let segments = recorder() else { return OwnError.response(404, "the recorder is off") }
        let answer: RecordedAnswer
        do {
            answer = try engine.recorded(
                parameters.selector, from: parameters.from, through: parameters.through, segments: segments,
                limit: parameters.limit, nowNanoseconds: Int64(clamping: now()), budget: budget)
        } catch {
            switch error {
            case .tooManySeries(let limit):
                ledger.requestsRejected.add(1, .parameter)
                return OwnError.response(
                    400, "more than \(limit) series match: give a name, labels or a higher limit", parameter: "limit")
            case .stopped(let stop): return Dialect.own.readFailure(.stopped(stop), for: request)
            }
        }
        return write(answer, parameters)
    }

    private func write(_ answer: RecordedAnswer, _ parameters: SeriesRangeParameters) -> Response {
        var json = JSONWriter()
        json.beginObject()
        json.number("from", parameters.from)
        json.number("to", parameters.through)
        json.number("step", parameters.step)
        json.key("series")
        json.beginArray()
        var values = 0
        for series in answer.series {
            values += write(series, parameters, to: &json)
            guard values <= Limits.rangeValues else {
                ledger.requestsRejected.add(1, .parameter)
                return OwnError.response(
                    400, "more than \(Limits.rangeValues) values: ask for fewer series or a larger step",
                    parameter: "step")
            }
        }
        json.endArray()
        json.key("covered")
        json.beginArray()
        for block in Self.joined(answer.blocks, parameters) {
            json.beginArray()
            json.number(block.first)
            json.number(block.through)
            json.endArray()
        }
        json.endArray()
        json.number("damagedChunks", answer.damagedChunks)
        json.endObject()
        return .json(json.bytes)
    }

    /// The covered seconds within the query, blocks that follow each other as one.
    private static func joined(
        _ blocks: [RecordedBlock], _ parameters: SeriesRangeParameters
    ) -> [(first: Int64, through: Int64)] {
        var joined: [(first: Int64, through: Int64)] = []
        for block in blocks.sorted(by: { $0.first < $1.first }) {
            let first = max(block.first, parameters.from)
            let through = min(block.through, parameters.through)
            guard first <= through else { continue }
            if let last = joined.last, first <= last.through + 1 {
                joined[joined.count - 1].through = max(last.through, through)
            } else {
                joined.append((first, through))
            }
        }
        return joined
    }

    /// - Returns: how many values it has.
    private func write(
        _ series: RecordedSeries, _ parameters: SeriesRangeParameters, to json: inout JSONWriter
    ) -> Int {
        if series.kind == .histogram { return writeHistogram(series, parameters, to: &json) }
        let steps = series.scalarSteps(from: parameters.from, through: parameters.through, step: parameters.step)
        let before = series.value(before: parameters.from)
        guard !steps.isEmpty || before != nil else { return 0 }
        json.beginObject()
        identify(series, to: &json)
        json.key("before")
        if let before { json.number(before) } else { json.null() }
        json.times(steps.map(\.time))
        if series.kind == .counter {
            json.column("delta", steps.map(\.value))
            json.column("total", steps.map(\.total))
        } else {
            json.column("last", steps.map(\.value))
            json.column("min", steps.map(\.least))
            json.column("max", steps.map(\.greatest))
        }
        json.endObject()
        return steps.count * 3
    }

    private func writeHistogram(
        _ series: RecordedSeries, _ parameters: SeriesRangeParameters, to json: inout JSONWriter
    ) -> Int {
        let steps = series.histogramSteps(
            from: parameters.from, through: parameters.through, step: parameters.step,
            quantiles: parameters.quantiles)
        guard !steps.isEmpty else { return 0 }
        json.beginObject()
        identify(series, to: &json)
        json.times(steps.map(\.time))
        json.column("count", steps.map(\.count))
        json.column("sum", steps.map(\.sum))
        json.column("min", steps.map(\.least))
        json.column("max", steps.map(\.greatest))
        json.key("quantiles")
        json.beginArray()
        for (index, quantile) in parameters.quantiles.enumerated() {
            json.beginObject()
            json.number("q", quantile)
            json.column("values", steps.map { $0.quantiles[index] })
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return steps.count * (5 + parameters.quantiles.count)
    }

    private func identify(_ series: RecordedSeries, to json: inout JSONWriter) {
        json.string("name", series.kind == .counter ? series.family + "_total" : series.family)
        json.string("type", Self.typeName(series.kind))
        json.key("labels")
        json.beginObject()
        for label in series.labels {
            json.key(escaping: label.name)
            json.string(label.value)
        }
        json.endObject()
    }
}

extension JSONWriter {
    fileprivate mutating func times(_ seconds: [Int64]) {
        key("time")
        beginArray()
        for second in seconds { number(second) }
        endArray()
    }

    fileprivate mutating func column(_ name: StaticString, _ values: [Double]) {
        key(name)
        beginArray()
        for value in values { number(value) }
        endArray()
    }
}
