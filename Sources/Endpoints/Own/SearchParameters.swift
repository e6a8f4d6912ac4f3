internal import QueryEngine
internal import Telemetry

/// A parameter that cannot be used, in our API's words.
struct ParameterError: Error {
    let parameter: String
    let message: String

    init(_ parameter: String, _ message: String) {
        self.parameter = parameter
        self.message = message
    }
}

/// The parameters of `GET /api/crest/v1/search`. Source: schemas/query/search.md.
struct SearchParameters {
    static let defaultLimit = 20
    private static let known: Set<String> = [
        "service", "operation", "kind", "tag", "min_duration", "max_duration", "error", "start", "end", "limit",
        "sort", "page", "q", "explain",
    ]

    var filter = SpanFilter()
    var order = TraceOrder.newestFirst
    var limit = defaultLimit
    var after: TraceOrder.Key?
    /// Whether the reply says what was read and passed over.
    var explains = false

    var fingerprint: UInt64 { SpanFilter.fingerprint(of: [filter]) }

    init(_ query: QueryParameters, tenant: String) throws(ParameterError) {
        filter.tenant = tenant
        for pair in query.pairs where !Self.known.contains(pair.name) {
            throw ParameterError(pair.name, "unknown parameter; known: \(Self.known.sorted().joined(separator: ", "))")
        }
        if query.nonEmpty("q") != nil {
            throw ParameterError("q", "query expressions are not supported yet; use service, operation, tag ...")
        }
        filter.service = query.nonEmpty("service")
        filter.operation = query.nonEmpty("operation")
        filter.kind = try Self.kind(query)
        filter.tags = try query.all("tag").map { text throws(ParameterError) in try Self.tag(text) }
        try readDurations(query)
        try readTimes(query)
        filter.error = try Self.flag("error", query)
        limit = try Self.limit(query)
        explains = try Self.flag("explain", query) ?? false
        try readOrder(query)
    }

    private mutating func readDurations(_ query: QueryParameters) throws(ParameterError) {
        filter.minDuration = try Self.duration("min_duration", query)
        filter.maxDuration = try Self.duration("max_duration", query)
        if let low = filter.minDuration, let high = filter.maxDuration, low > high {
            throw ParameterError("max_duration", "smaller than min_duration")
        }
    }

    private mutating func readTimes(_ query: QueryParameters) throws(ParameterError) {
        filter.earliestStart = try Self.time("start", query)
        filter.latestStart = try Self.time("end", query)
        if let start = filter.earliestStart, let end = filter.latestStart, start > end {
            throw ParameterError("end", "before start")
        }
    }

    private mutating func readOrder(_ query: QueryParameters) throws(ParameterError) {
        switch query.nonEmpty("sort") {
        case nil, "time": order = .newestFirst
        case "duration": order = .longestFirst
        case .some(let other): throw ParameterError("sort", "'\(other)' is not one of: time, duration")
        }
        guard let text = query.nonEmpty("page") else { return }
        guard let token = PageToken(text: text) else {
            throw ParameterError("page", "not a page token; take it from 'next' of the page before")
        }
        guard token.order == order, token.fingerprint == fingerprint else {
            throw ParameterError("page", "the token belongs to another search; repeat all of its parameters")
        }
        after = token.key
    }

    static func time(_ name: String, _ query: QueryParameters) throws(ParameterError) -> UInt64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let value = TimeText.nanoseconds(text) else {
            throw ParameterError(name, "'\(text)' is neither RFC 3339 nor a unix time in s, ms, us or ns")
        }
        return value
    }

    private static func duration(_ name: String, _ query: QueryParameters) throws(ParameterError) -> UInt64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let value = DurationText.nanoseconds(text) else {
            throw ParameterError(name, "'\(text)' is not a duration such as 250ms or 1.5s")
        }
        return value
    }

    private static func tag(_ text: String) throws(ParameterError) -> SpanFilter.Tag {
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
            throw ParameterError("tag", "'\(text)' is not key:value")
        }
        return SpanFilter.Tag(String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private static func flag(_ name: String, _ query: QueryParameters) throws(ParameterError) -> Bool? {
        switch query.nonEmpty(name) {
        case nil: nil
        case "true", "1": true
        case "false", "0": false
        case .some(let other): throw ParameterError(name, "'\(other)' is neither true nor false")
        }
    }

    private static func kind(_ query: QueryParameters) throws(ParameterError) -> SpanKind? {
        guard let text = query.nonEmpty("kind") else { return nil }
        guard let kind = SpanKind(label: text) else {
            throw ParameterError("kind", "'\(text)' is not one of: internal, server, client, producer, consumer")
        }
        return kind
    }

    private static func limit(_ query: QueryParameters) throws(ParameterError) -> Int {
        guard let text = query.nonEmpty("limit") else { return defaultLimit }
        guard let limit = Int(text), (1...Limits.searchLimit).contains(limit) else {
            throw ParameterError("limit", "'\(text)' is not a number from 1 to \(Limits.searchLimit)")
        }
        return limit
    }
}

extension SpanKind {
    /// By the names clients use; nil for others.
    init?(label: String) {
        let named = SpanKind.allCases.first { $0 != .unspecified && $0.label == label.lowercased() }
        guard let named else { return nil }
        self = named
    }
}
