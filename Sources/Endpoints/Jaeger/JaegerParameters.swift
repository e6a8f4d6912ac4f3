internal import Telemetry
internal import WireFormats

/// A parameter error in the words of Jaeger's own query service.
struct JaegerParameterError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// The parameters of `GET /api/traces`. Source: schemas/query/jaeger.md, "Search".
struct JaegerSearch {
    static let defaultLimit = 100
    /// Two days, in nanoseconds.
    static let defaultWindow: UInt64 = 2 * 86_400 * 1_000_000_000

    var filter = SpanFilter()
    var limit = defaultLimit
    /// When given, these traces are fetched and nothing is searched.
    var traceIDs: [TraceID] = []

    /// - Parameter now: unix nanoseconds.
    init(_ query: QueryParameters, tenant: String, now: UInt64) throws(JaegerParameterError) {
        filter.tenant = tenant
        for text in query.all("traceID") {
            guard let id = JaegerTraceID.read(text) else {
                throw JaegerParameterError("cannot parse traceID param: '\(text)' is not 1 to 32 hexadecimal digits")
            }
            traceIDs.append(id)
        }
        guard traceIDs.count <= Limits.searchLimit else { throw JaegerParameterError("too many 'traceID' parameters") }
        if traceIDs.isEmpty {
            guard let service = query.nonEmpty("service") else {
                throw JaegerParameterError("parameter 'service' is required")
            }
            filter.service = service
        }
        filter.operation = query.nonEmpty("operation")
        filter.tags = try Self.tags(query)
        let end = try Self.time("end", query) ?? now
        filter.latestStart = end
        let twoDaysBefore = end > Self.defaultWindow ? end - Self.defaultWindow : 0
        filter.earliestStart = try Self.time("start", query) ?? twoDaysBefore
        filter.minDuration = try Self.duration("minDuration", query)
        filter.maxDuration = try Self.duration("maxDuration", query)
        if let low = filter.minDuration, let high = filter.maxDuration, low > high {
            throw JaegerParameterError("'maxDuration' should be greater than 'minDuration'")
        }
        limit = try Self.limit(query)
    }

    private static func limit(_ query: QueryParameters) throws(JaegerParameterError) -> Int {
        guard let text = query.nonEmpty("limit") else { return defaultLimit }
        guard let limit = Int(text) else { throw notANumber("limit", text) }
        guard (1...Limits.searchLimit).contains(limit) else {
            throw JaegerParameterError("unable to parse param 'limit': \(limit) is not from 1 to \(Limits.searchLimit)")
        }
        return limit
    }

    private static func notANumber(_ name: String, _ text: String) -> JaegerParameterError {
        JaegerParameterError(
            "unable to parse param '\(name)': strconv.ParseInt: parsing \(quoted(text)): invalid syntax")
    }

    /// Microseconds by the book; seconds, milliseconds and nanoseconds by magnitude.
    private static func time(_ name: String, _ query: QueryParameters) throws(JaegerParameterError) -> UInt64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard Int64(text).map({ $0 >= 0 }) ?? false, let time = TimeText.nanoseconds(text) else {
            throw notANumber(name, text)
        }
        return time
    }

    private static func duration(_ name: String, _ query: QueryParameters) throws(JaegerParameterError) -> UInt64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let duration = DurationText.nanoseconds(text) else {
            throw JaegerParameterError("unable to parse param '\(name)': time: invalid duration \(quoted(text))")
        }
        return duration
    }

    /// `tag=k:v`, repeated, and `tags={"k":"v"}`.
    private static func tags(_ query: QueryParameters) throws(JaegerParameterError) -> [SpanFilter.Tag] {
        var tags: [SpanFilter.Tag] = []
        for text in query.all("tag") {
            guard let colon = text.firstIndex(of: ":") else {
                throw JaegerParameterError("malformed 'tag' parameter, expecting key:value, received: \(text)")
            }
            tags.append(SpanFilter.Tag(String(text[..<colon]), String(text[text.index(after: colon)...])))
        }
        for text in query.all("tags") where !text.isEmpty {
            let result = Array(text.utf8).withUnsafeBytes { bytes in
                Result { () throws(WireError) in try object(bytes) }
            }
            switch result {
            case .success(let more): tags += more
            case .failure(let error):
                throw JaegerParameterError(
                    "malformed 'tags' parameter, cannot unmarshal JSON: \(error), received: \(text)")
            }
        }
        return tags
    }

    private static func object(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> [SpanFilter.Tag] {
        var json = JSONReader(bytes)
        var tags: [SpanFilter.Tag] = []
        try json.beginObject()
        while let key = try json.nextKey() {
            let name = key.text
            tags.append(SpanFilter.Tag(name, try json.readString().text))
        }
        try json.finish()
        return tags
    }

    static func quoted(_ text: String) -> String {
        var json = JSONWriter()
        json.string(text)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// The whole number of milliseconds a parameter holds, as nanoseconds.
    static func milliseconds(_ name: String, _ query: QueryParameters) throws(JaegerParameterError) -> UInt64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let number = Int64(text), number >= 0 else { throw notANumber(name, text) }
        let (value, overflow) = UInt64(number).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? .max : value
    }
}
