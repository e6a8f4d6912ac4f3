internal import QueryEngine
internal import Telemetry

/// A parameter error, worded as Zipkin's server does.
struct ZipkinParameterError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// The parameters of `GET /api/v2/traces`. Source: schemas/query/zipkin.md, "Search".
struct ZipkinSearch {
    static let defaultLimit = 10
    /// One day, in milliseconds.
    static let defaultLookback: UInt64 = 86_400_000

    var filter = ZipkinTraceFilter()
    var limit = defaultLimit

    /// - Parameter now: unix nanoseconds.
    init(_ query: QueryParameters, now: UInt64) throws(ZipkinParameterError) {
        filter.service = Self.name("serviceName", query)
        filter.remoteService = Self.name("remoteServiceName", query)
        filter.spanName = Self.name("spanName", query)
        guard let terms = ZipkinTraceFilter.terms(of: query["annotationQuery"] ?? "") else {
            throw ZipkinParameterError("annotationQuery has more than 100 terms")
        }
        filter.terms = terms
        filter.minDuration = try Self.microseconds("minDuration", query)
        filter.maxDuration = try Self.microseconds("maxDuration", query)
        if let high = filter.maxDuration {
            guard let low = filter.minDuration else {
                throw ZipkinParameterError("maxDuration is only valid with minDuration")
            }
            guard high >= low else { throw ZipkinParameterError("maxDuration < minDuration") }
        }
        filter.window = try Self.window(query, defaultEnd: now)
        if let limit = try Self.number("limit", query) {
            guard limit > 0 else { throw ZipkinParameterError("limit <= 0") }
            guard limit <= Limits.searchLimit else { throw ZipkinParameterError("limit > \(Limits.searchLimit)") }
            self.limit = Int(limit)
        }
    }

    /// `all` and an empty text mean no condition.
    private static func name(_ name: String, _ query: QueryParameters) -> String? {
        query.nonEmpty(name).flatMap { $0.lowercased() == "all" ? nil : $0 }
    }

    /// `endTs - lookback ... endTs`, given in milliseconds, as unix nanoseconds.
    /// - Parameter defaultEnd: nil when `endTs` is required.
    static func window(
        _ query: QueryParameters, defaultEnd: UInt64?
    ) throws(ZipkinParameterError) -> ClosedRange<UInt64> {
        var end = defaultEnd
        if let milliseconds = try number("endTs", query) {
            guard milliseconds > 0 else { throw ZipkinParameterError("endTs <= 0") }
            // To the last nanosecond of that millisecond.
            let (value, overflow) = UInt64(milliseconds).multipliedReportingOverflow(by: 1_000_000)
            end = overflow || value > .max - 999_999 ? .max : value + 999_999
        }
        guard let end else { throw ZipkinParameterError("endTs is required") }
        var lookback = defaultLookback
        if let milliseconds = try number("lookback", query) {
            guard milliseconds > 0 else { throw ZipkinParameterError("lookback <= 0") }
            lookback = UInt64(milliseconds)
        }
        let (span, overflow) = lookback.multipliedReportingOverflow(by: 1_000_000)
        return (overflow || span > end ? 0 : end - span)...end
    }

    private static func microseconds(
        _ name: String, _ query: QueryParameters
    ) throws(ZipkinParameterError) -> UInt64? {
        guard let number = try number(name, query) else { return nil }
        guard number > 0 else { throw ZipkinParameterError("\(name) <= 0") }
        let (value, overflow) = UInt64(number).multipliedReportingOverflow(by: 1_000)
        return overflow ? .max : value
    }

    private static func number(_ name: String, _ query: QueryParameters) throws(ZipkinParameterError) -> Int64? {
        guard let text = query.nonEmpty(name) else { return nil }
        guard let number = Int64(text) else { throw ZipkinParameterError("\(name) is not a number: \(text)") }
        return number
    }

    /// The ids of `traceMany`: two or more, each once.
    static func traceIDs(_ query: QueryParameters) throws(ZipkinParameterError) -> [TraceID] {
        let text = query["traceIds"] ?? ""
        let parts = text.split(separator: ",")
        guard !parts.isEmpty else { throw ZipkinParameterError("traceIds parameter is empty") }
        guard parts.count > 1 else {
            throw ZipkinParameterError("Use /api/v2/trace/{traceId} endpoint to retrieve a single trace")
        }
        guard parts.count <= Limits.tracesPerRequest else {
            throw ZipkinParameterError("more than \(Limits.tracesPerRequest) traceIds")
        }
        var seen: Set<TraceID> = []
        var ids: [TraceID] = []
        for part in parts {
            guard let id = TraceID(hex: part.utf8), !id.isZero else {
                throw ZipkinParameterError("\(part) should be 1 to 32 hexadecimal digits, not all zero")
            }
            guard seen.insert(id).inserted else { throw ZipkinParameterError("redundant traceId: \(part)") }
            ids.append(id)
        }
        return ids
    }
}
