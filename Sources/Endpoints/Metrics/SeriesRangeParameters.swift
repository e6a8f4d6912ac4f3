internal import Bytes
internal import MetricsEngine
internal import Telemetry

/// The parameters of a range query. Source: schemas/http-api.yaml, `/api/crest/v1/series/range`.
struct SeriesRangeParameters {
    struct Failure: Error {
        var message: String
        var parameter: String?
    }

    /// Steps of one series, and quantiles of one query.
    private static let mostSteps: Int64 = 11_000
    private static let mostQuantiles = 8
    private static let mostMatchers = 32
    private static let standardSeconds: Int64 = 300
    private static let standardLimit = 100

    var selector = RecordSelector()
    /// Unix seconds, both included.
    var from: Int64 = 0
    var through: Int64 = 0
    var step: Int64 = 1
    var quantiles: [Double] = []
    var limit = standardLimit

    init(_ request: Request, now: UInt64) throws(Failure) {
        let query: QueryParameters
        do { query = try QueryParameters(request.rawQuery) } catch {
            throw Failure(message: error.description, parameter: nil)
        }
        selector.name = query.nonEmpty("name")
        let labels = query.all("label")
        guard labels.count <= Self.mostMatchers else {
            throw Failure(message: "at most \(Self.mostMatchers) conditions", parameter: "label")
        }
        for text in labels { selector.labels.append(try Self.matcher(text)) }
        try readTimes(query, now: Int64(clamping: now / 1_000_000_000))
        if let text = query.nonEmpty("quantile") { quantiles = try Self.quantiles(text) }
        if let text = query.nonEmpty("limit") {
            guard let value = Int(text), (1...Limits.rangeSeries).contains(value) else {
                throw Failure(message: "'\(text)' is not a number from 1 to \(Limits.rangeSeries)", parameter: "limit")
            }
            limit = value
        }
    }

    private mutating func readTimes(_ query: QueryParameters, now: Int64) throws(Failure) {
        through = try Self.second(query, "to") ?? now
        from = try Self.second(query, "from") ?? max(0, through - Self.standardSeconds + 1)
        guard from <= through else {
            throw Failure(message: "'from' lies after 'to'", parameter: "from")
        }
        if let text = query.nonEmpty("step") {
            guard let nanoseconds = DurationText.nanoseconds(text), nanoseconds >= 1_000_000_000,
                nanoseconds % 1_000_000_000 == 0, nanoseconds <= 86_400 * 1_000_000_000
            else { throw Failure(message: "'\(text)' is not whole seconds from 1s to 24h", parameter: "step") }
            step = Int64(nanoseconds / 1_000_000_000)
        }
        let steps = (through - from) / step + 1
        guard steps <= Self.mostSteps else {
            let least = (through - from) / Self.mostSteps + 1
            throw Failure(
                message: "\(steps) steps, at most \(Self.mostSteps): use a step of at least \(least)s",
                parameter: "step")
        }
    }

    private static func second(_ query: QueryParameters, _ name: String) throws(Failure) -> Int64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let nanoseconds = TimeText.nanoseconds(text) else {
            throw Failure(message: "'\(text)' is not a time: RFC 3339 or a unix number", parameter: name)
        }
        return Int64(nanoseconds / 1_000_000_000)
    }

    private static func quantiles(_ text: String) throws(Failure) -> [Double] {
        var quantiles: [Double] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Double(part), value >= 0, value <= 1 else {
                throw Failure(message: "'\(part)' is not a quantile from 0 to 1", parameter: "quantile")
            }
            quantiles.append(value)
        }
        guard quantiles.count <= mostQuantiles else {
            throw Failure(message: "at most \(mostQuantiles) quantiles", parameter: "quantile")
        }
        return quantiles
    }

    /// `key:value` and `key=value` are equal, `key!=value` is not, `key=~regex` and `key!~regex` match the whole value.
    private static func matcher(_ text: String) throws(Failure) -> RecordMatcher {
        guard let mark = text.firstIndex(where: { ":=!".contains($0) }), mark > text.startIndex else {
            throw Failure(message: "'\(text)' is not a condition: key=value", parameter: "label")
        }
        let name = String(text[..<mark])
        let rest = text[mark...]
        if rest.hasPrefix("=~") { return RecordMatcher(label: name, test: .matches(try regex(rest.dropFirst(2)))) }
        if rest.hasPrefix("!~") { return RecordMatcher(label: name, test: .matchesNot(try regex(rest.dropFirst(2)))) }
        if rest.hasPrefix("!=") { return RecordMatcher(label: name, test: .notEqual(String(rest.dropFirst(2)))) }
        guard !rest.hasPrefix("!") else {
            throw Failure(message: "'\(text)' is not a condition: key!=value", parameter: "label")
        }
        return RecordMatcher(label: name, test: .equal(String(rest.dropFirst())))
    }

    private static func regex(_ pattern: Substring) throws(Failure) -> LinearRegex {
        do { return try LinearRegex(String(pattern)) } catch {
            throw Failure(message: "'\(pattern)' is not a regular expression: \(error)", parameter: "label")
        }
    }
}
