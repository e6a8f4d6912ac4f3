internal import QueryEngine
internal import Telemetry
internal import WireFormats

/// Names and values of labels, for completion and for variables of dashboards.
enum PrometheusLabels {
    private typealias Labels = [(name: String, value: String)]

    /// `GET` and `POST /labels?match[]=&start=&end=`.
    static func names(_ call: Call) -> Response {
        PrometheusQueries.answer(call) { source, parameters throws(PrometheusFailure) in
            let sets = try labelSets(source, parameters)
            return list(Set(sets.flatMap { $0.map(\.name) }))
        }
    }

    /// `GET /label/{name}/values?match[]=&start=&end=`.
    static func values(_ call: Call) -> Response {
        PrometheusQueries.answer(call) { source, parameters throws(PrometheusFailure) in
            let name = call.path.first ?? ""
            guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first),
                name.utf8.allSatisfy(isNameByte)
            else { throw .invalid("name", "invalid label name: \"\(name)\"") }
            let sets = try labelSets(source, parameters)
            return list(Set(sets.compactMap { set in set.first { $0.name == name }?.value }))
        }
    }

    /// `GET` and `POST /series?match[]=&start=&end=`.
    static func series(_ call: Call) -> Response {
        PrometheusQueries.answer(call) { source, parameters throws(PrometheusFailure) in
            guard !parameters.all("match[]").isEmpty else {
                throw .parameter("no match[] parameter provided")
            }
            let sets = try labelSets(source, parameters)
            return PrometheusEnvelope.success { json in
                json.beginArray()
                for set in sets { PrometheusResultJSON.write(labels: set, to: &json) }
                json.endArray()
            }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
            || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private static func list(_ texts: Set<String>) -> Response {
        PrometheusEnvelope.success { json in
            json.beginArray()
            for text in texts.sorted() { json.string(text) }
            json.endArray()
        }
    }

    /// The label sets that any of the selectors chooses, each once; all when there is no selector.
    private static func labelSets(
        _ source: any SampleSource, _ parameters: PrometheusParameters
    ) throws(PrometheusFailure) -> [Labels] {
        var selectors: [[LabelMatcher]] = []
        let from = try parameters.time("start", missing: PromTime.earliest)
        let through = try parameters.time("end", missing: PromTime.latest)
        for text in parameters.all("match[]") {
            do { selectors.append(try PromExpression.selector(parsing: text)) } catch {
                throw .invalid("match[]", "\(error)")
            }
        }
        var seen: Set<[String]> = []
        var result: [Labels] = []
        for matchers in selectors.isEmpty ? [[]] : selectors {
            do {
                for set in try source.labelSets(matching: matchers, from: from, through: through)
                where seen.insert(set.flatMap { [$0.name, $0.value] }).inserted {
                    result.append(set)
                }
            } catch { throw .query(PromQueryError(reading: error)) }
        }
        return result
    }
}
