/// What became of one export request.
package enum ExportOutcome: Sendable, Hashable {
    /// The server answered. `rejectedSpans` is OTLP's partial success, zero when all were taken.
    case reply(status: Int, retryAfter: String?, rejectedSpans: Int)
    /// No answer: refused, reset, timed out.
    case unreachable
}

/// What to do with a batch after an outcome.
package enum RetryDecision: Sendable, Hashable {
    case accepted
    case retry(after: Duration)
    /// The server will never take this batch: a 4xx or 5xx outside the four that OTLP lets a client repeat.
    case refused
}

/// When and how long to repeat a request.
///
/// Only 429, 502, 503 and 504 and a missing answer are repeated. `Retry-After` is obeyed (up to `longestDelay`),
/// otherwise the delay doubles from `firstDelay` and is spread over its upper half, so that many clients do not
/// come back in step.
/// - Source: OTLP specification, "Failures" and "OTLP/HTTP Throttling".
package struct RetryPolicy: Sendable {
    package var firstDelay: Duration = .milliseconds(100)
    package var longestDelay: Duration = .seconds(30)

    package init() {}

    /// - Parameters:
    ///   - attempt: 0 after the first try.
    ///   - jitter: uniform in 0..<1.
    ///   - nowSeconds: seconds since 1970 UTC, for a `Retry-After` that is a date.
    package func decide(
        _ outcome: ExportOutcome, attempt: Int, jitter: Double, nowSeconds: Int64
    ) -> RetryDecision {
        switch outcome {
        case .unreachable: return .retry(after: backoff(attempt, jitter))
        case .reply(let status, let retryAfter, _):
            switch status {
            case 200...299: return .accepted
            case 429, 502, 503, 504:
                guard let retryAfter, let wanted = parseRetryAfter(retryAfter, nowSeconds: nowSeconds) else {
                    return .retry(after: backoff(attempt, jitter))
                }
                return .retry(after: min(.seconds(wanted), longestDelay))
            default: return .refused
            }
        }
    }

    private func backoff(_ attempt: Int, _ jitter: Double) -> Duration {
        let doubled = firstDelay * (1 << min(max(attempt, 0), 20))
        let spread = 0.5 + min(max(jitter, 0), 1) / 2
        return min(doubled, longestDelay) * spread
    }
}

/// Seconds to wait: a whole number, or an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`.
/// - Returns: never negative; `nil` when it is neither form.
/// - Source: RFC 9110, 10.2.3 and 5.6.7.
package func parseRetryAfter(_ text: String, nowSeconds: Int64) -> Int64? {
    let bytes = Array(text.utf8)
    if let seconds = decimal(bytes[...]) { return seconds }
    guard bytes.count == 29, bytes[3] == UInt8(ascii: ","), bytes[26...] == ArraySlice("GMT".utf8) else { return nil }
    let names = "JanFebMarAprMayJunJulAugSepOctNovDec".utf8.map { $0 }
    let month = (0..<12).first { names[$0 * 3..<$0 * 3 + 3] == bytes[8..<11] }
    guard let month, let day = decimal(bytes[5..<7]), let year = decimal(bytes[12..<16]),
        let hour = decimal(bytes[17..<19]), let minute = decimal(bytes[20..<22]),
        let second = decimal(bytes[23..<25]), day >= 1, day <= 31, hour < 24, minute < 60, second < 61
    else { return nil }
    let days = daysSinceEpoch(year: year, month: Int64(month) + 1, day: day)
    let then = days * 86_400 + hour * 3_600 + minute * 60 + second
    return max(0, then - nowSeconds)
}

/// Whole text of one to nine digits.
private func decimal(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard !digits.isEmpty, digits.count <= 9 else { return nil }
    var value: Int64 = 0
    for digit in digits {
        guard digit >= 48, digit <= 57 else { return nil }
        value = value * 10 + Int64(digit - 48)
    }
    return value
}

/// Days from 1970-01-01 in the Gregorian calendar; years count from March, so that the leap day is the last one.
private func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let fromMarch = month > 2 ? month - 3 : month + 9
    let marchYear = month > 2 ? year : year - 1
    let era = marchYear / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * fromMarch + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
