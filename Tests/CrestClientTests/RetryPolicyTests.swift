import CrestClient
import Testing

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy()
    /// 2026-11-22 00:00:00 UTC.
    private let now: Int64 = 1_795_305_600

    private func decide(_ status: Int, _ retryAfter: String? = nil, attempt: Int = 0) -> RetryDecision {
        policy.decide(
            .reply(status: status, retryAfter: retryAfter, rejectedSpans: 0), attempt: attempt, jitter: 1,
            nowSeconds: now)
    }

    @Test("Only four statuses are repeated", arguments: 100...599)
    func table(status: Int) {
        let decision = decide(status)
        switch status {
        case 200...299: #expect(decision == .accepted)
        case 429, 502, 503, 504: #expect(decision == .retry(after: .milliseconds(100)))
        default: #expect(decision == .refused)
        }
    }

    @Test("No answer is repeated")
    func unreachable() {
        let decision = policy.decide(.unreachable, attempt: 3, jitter: 0, nowSeconds: now)
        #expect(decision == .retry(after: .milliseconds(400)))
    }

    @Test("Delays double up to the limit and spread over their upper half")
    func backoff() {
        #expect(decide(503, attempt: 1) == .retry(after: .milliseconds(200)))
        #expect(decide(503, attempt: 5) == .retry(after: .milliseconds(3_200)))
        #expect(decide(503, attempt: 9) == .retry(after: .seconds(30)))
        #expect(decide(503, attempt: Int.max) == .retry(after: .seconds(30)))
        #expect(decide(503, attempt: -1) == .retry(after: .milliseconds(100)))
        for jitter in [0, 0.25, 0.5, 0.75, 1] {
            let decision = policy.decide(.unreachable, attempt: 0, jitter: jitter, nowSeconds: now)
            guard case .retry(let delay) = decision else {
                Issue.record("\(decision)")
                return
            }
            #expect(delay >= .milliseconds(50) && delay <= .milliseconds(100))
        }
    }

    @Test(
        "Retry-After is obeyed, up to the limit",
        arguments: [
            ("0", 0), ("2", 2), ("30", 30), ("31", 30), ("999999999", 30),
            ("Sun, 22 Nov 2026 00:00:05 GMT", 5), ("Sat, 21 Nov 2026 23:59:59 GMT", 0),
            ("Mon, 22 Nov 2027 00:00:00 GMT", 30),
        ])
    func retryAfter(header: String, seconds: Int) {
        #expect(decide(503, header) == .retry(after: .seconds(seconds)))
        #expect(decide(429, header, attempt: 4) == .retry(after: .seconds(seconds)))
        #expect(decide(400, header) == .refused)
    }

    @Test(
        "A header that is neither seconds nor a date is ignored",
        arguments: [
            "", " 1", "-1", "1.5", "0x10", "9999999999", "soon", "Sun, 22 Nov 2026 00:00:05 CET",
            "Sun, 22 Nix 2026 00:00:05 GMT", "Sun, 32 Nov 2026 00:00:05 GMT", "Sun, 22 Nov 2026 24:00:05 GMT",
            "Sunday, 22-Nov-26 00:00:05 GMT", "Sun, 2é Nov 2026 00:00:05 GMT",
        ])
    func malformedRetryAfter(header: String) {
        #expect(parseRetryAfter(header, nowSeconds: now) == nil)
        #expect(decide(503, header) == .retry(after: .milliseconds(100)))
    }

    @Test("Dates are counted right over leap years and centuries")
    func dates() {
        #expect(parseRetryAfter("Thu, 01 Jan 1970 00:01:00 GMT", nowSeconds: 0) == 60)
        #expect(parseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", nowSeconds: 0) == 784_111_777)
        #expect(parseRetryAfter("Tue, 29 Feb 2000 00:00:00 GMT", nowSeconds: 0) == 951_782_400)
        #expect(parseRetryAfter("Mon, 01 Mar 2100 00:00:00 GMT", nowSeconds: 0) == 4_107_542_400)
    }

    @Test(
        "Rejected spans are read from the reply; anything else means none",
        arguments: [
            ([], 0), ([0x0A, 0], 0), ([0x0A, 2, 0x08, 3], 3), ([0x0A, 3, 0x08, 0x80, 0x01], 128),
            ([0x12, 1, 0, 0x0A, 4, 0x12, 0, 0x08, 5], 5), ([0x15, 1, 2, 3, 4, 0x0A, 2, 0x08, 1], 1),
            ([0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x0A, 2, 0x08, 1], 1), ([0x0A, 200], 0), ([0x0A, 5, 0x08], 0), ([0x0F], 0),
            ([0x0A, 2, 0x08, 0x80], 0), ([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], 0),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], 0),
        ] as [([UInt8], Int)])
    func partialSuccess(body: [UInt8], rejected: Int) {
        #expect(parseRejectedSpans(body) == rejected)
    }
}
