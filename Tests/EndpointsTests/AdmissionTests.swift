import Endpoints
import Synchronization
import Telemetry
import Testing
import WireFormats

/// What the router makes of the admission's decisions.
@Suite struct AdmissionTests {
    private static let second: UInt64 = 1_000_000_000

    /// A clock that is moved by hand.
    private final class Clock: Sendable {
        private let time = Atomic<UInt64>(100 * AdmissionTests.second)
        var now: UInt64 { time.load(ordering: .relaxed) }
        func advance(_ seconds: Double) { time.add(UInt64(seconds * 1e9), ordering: .relaxed) }
    }

    private let clock = Clock()

    private func daemon(
        requestBytes: Int = 1 << 30, policy: AccessPolicy? = nil,
        _ change: (inout AdmissionControl.Settings) -> Void = { _ in }
    ) -> TestDaemon {
        let clock = clock
        var settings = AdmissionControl.Settings()
        change(&settings)
        let control = AdmissionControl(
            budget: MemoryBudget(limitBytes: 1 << 30, requestBytes: requestBytes), settings: settings,
            clock: { clock.now })
        return TestDaemon {
            $0.admission = control
            $0.access = AccessControl(policy: policy)
        }
    }

    /// `count` spans, each with ids alone.
    private static func spans(_ count: Int) -> [UInt8] {
        let span = [0x0A, 16] + [UInt8](repeating: 7, count: 16) + [0x12, 8] + [UInt8](repeating: 2, count: 8)
        let spans = [[UInt8]](repeating: [0x12, UInt8(span.count)] + span, count: count).flatMap { $0 }
        func length(_ count: Int) -> [UInt8] { [UInt8(count & 0x7F) | 0x80, UInt8(count >> 7)] }
        let scope = [0x12] + length(spans.count) + spans
        return [0x0A] + length(scope.count) + scope
    }

    private static func request(_ body: [UInt8] = [], _ headers: [(String, String)] = []) -> Request {
        var request = Request(
            method: "POST", target: "/v1/traces",
            headers: [("content-type", "application/x-protobuf"), ("content-length", "\(body.count)")] + headers,
            body: body)
        request.peer = PeerAddress([192, 0, 2, 1], port: 9)
        return request
    }

    @Test("While the store falls behind, who alone sends is refused before the body; metrics are not")
    func storeBehind() {
        let isBehind = Atomic<Bool>(false)
        let daemon = TestDaemon { $0.daemon.isStoreBehind = { isBehind.load(ordering: .relaxed) } }
        #expect(daemon.early(Self.request()) == nil)
        isBehind.store(true, ordering: .relaxed)
        #expect(daemon.early(Self.request())?.status == 503)
        #expect(daemon.rejected(.busy) == 1)
        var metrics = Self.request()
        metrics.target = "/v1/metrics"
        #expect(daemon.early(metrics) == nil)
    }

    @Test("A request that waited for more than two seconds is refused, not worked on")
    func deadline() {
        let daemon = daemon()
        var request = Self.request(Self.spans(1))
        request.completedNanoseconds = clock.now
        clock.advance(2)
        #expect(daemon.send(request).status == 200)
        clock.advance(0.1)
        let late = daemon.send(request)
        #expect(late.status == 503 && ["1", "2"].contains(late.header("retry-after")))
        #expect(daemon.rejected(.deadline) == 1 && daemon.store.records.count == 1)
        // A query may wait: it has a time limit of its own.
        var query = Request(method: "GET", target: "/api/services")
        query.completedNanoseconds = request.completedNanoseconds
        #expect(daemon.send(query).status == 200)
    }

    @Test("Spans beyond the rate are refused as a whole after decoding, and the books balance")
    func spanRate() throws {
        let daemon = daemon { $0.tenantRates = RateLimits(spansPerSecond: 10) }
        #expect(daemon.send(Self.request(Self.spans(15))).status == 200)
        let refused = daemon.send(Self.request(Self.spans(15)))
        #expect(refused.status == 429 && refused.header("retry-after") == "1" && refused.header("crest-load") == "0")
        #expect(refused.header("content-type") == "application/x-protobuf")
        #expect(daemon.rejectedSpans(.rate) == 15 && daemon.rejected(.tenantRate) == 1)
        #expect(daemon.ledger.spansReceived.load(ordering: .relaxed) == 30)
        #expect(daemon.get("/api/crest/v1/ledger").text.contains("\"balanced\":true"))
        clock.advance(1)
        #expect(daemon.send(Self.request(Self.spans(15))).status == 200)
        // In debt nothing is read any more.
        #expect(daemon.send(Self.request(Self.spans(100))).status == 429)
        clock.advance(2)
        #expect(daemon.send(Self.request(Self.spans(100))).status == 200)
        let early = try #require(daemon.early(Self.request(Self.spans(1))))
        #expect(early.status == 429 && early.header("retry-after") == "9")
        let call = GRPCReply(early)
        #expect(call.code == .resourceExhausted && call.retryAfter == 9)
    }

    @Test("Bytes are counted before the body, or when it is there if it came without a length")
    func byteRate() {
        let daemon = daemon { $0.tenantRates = RateLimits(bytesPerSecond: 100) }
        let body = Self.spans(5)
        #expect(body.count == 156)
        #expect(daemon.early(Self.request(body)) == nil)
        #expect(daemon.early(Self.request(body))?.header("retry-after") == "2")
        clock.advance(10)
        var chunked = Self.request(body)
        chunked.headers.removeAll { $0.name == "content-length" }
        #expect(daemon.early(chunked) == nil && daemon.send(chunked).status == 200)
        #expect(daemon.early(chunked) == nil && daemon.send(chunked).status == 429)
        #expect(daemon.store.records.count == 5)
    }

    @Test("A claim to send more than anybody can is charged like the most that can be sent")
    func claims() {
        let rate = Double(Limits.bodyBytes)
        let daemon = daemon { $0.tenantRates = RateLimits(bytesPerSecond: rate) }
        for claim in ["\(Int.max)", "99999999999999999999", "-5", "x"] {
            var head = Self.request()
            head.headers = [("content-length", claim)]
            #expect(daemon.early(head) == nil, "\(claim)")
        }
        // One was charged, with half of the burst.
        #expect(daemon.early(Self.request(Self.spans(1))) == nil)
        clock.advance(1)
        var head = Self.request()
        head.headers = [("content-length", "\(Limits.bodyBytes)")]
        #expect(daemon.early(head) == nil)
    }

    @Test("An address without a token has its own rate; with tokens only the tenant's counts")
    func sourceRate() throws {
        let digest = AccessToken.digest(of: "crst_t").hex
        let policy = AccessPolicy(try TokenFile("name=t scopes=ingest tenant=shop sha256=\(digest)"))
        for policy in [nil, policy] {
            let daemon = daemon(policy: policy) { $0.sourceRates = RateLimits(bytesPerSecond: 200) }
            let first = Self.request(Self.spans(12), [("authorization", "Bearer crst_t")])
            var other = first
            other.peer = PeerAddress([192, 0, 2, 2], port: 9)
            #expect(daemon.early(first) == nil)
            #expect(daemon.early(first)?.status == (policy == nil ? 429 : nil))
            #expect(daemon.early(other) == nil)
            #expect(daemon.rejected(.sourceRate) == (policy == nil ? 1 : 0))
        }
    }

    @Test("Ten unknown tokens a minute from one address, then 429; a good one is let in all the same")
    func failedTokens() throws {
        let digest = AccessToken.digest(of: "crst_good").hex
        let policy = AccessPolicy(try TokenFile("name=t scopes=query tenant=default sha256=\(digest)"))
        let daemon = daemon(policy: policy)
        func get(_ token: String?, _ last: UInt8 = 1) -> Response {
            var request = Request(method: "GET", target: "/api/services")
            if let token { request.headers.append(("authorization", "Bearer \(token)")) }
            request.peer = PeerAddress([192, 0, 2, last], port: 9)
            return daemon.send(request)
        }
        for _ in 0..<10 { #expect(get("crst_bad").status == 401) }
        let slowed = get("crst_bad")
        #expect(slowed.status == 429 && slowed.header("retry-after") == "6")
        #expect(get("crst_bad", 2).status == 401 && get("crst_good").status == 200 && get(nil).status == 401)
        #expect(daemon.rejected(.failedTokens) == 1)
        clock.advance(6.1)
        #expect(get("crst_bad").status == 401 && get("crst_bad").status == 429)
    }

    @Test("Without memory nothing that brings telemetry is read; queries are")
    func memory() throws {
        let daemon = daemon(requestBytes: 10_000)
        var held = Self.request()
        held.headers = [("content-length", "2200")]
        #expect(daemon.router.refusal(beforeBodyOf: &held, listener: .http) == nil)
        let reservation = try #require(held.reservation)
        let refused = try #require(daemon.early(Self.request(Self.spans(1))))
        #expect(refused.status == 503 && refused.header("crest-load") == "88")
        #expect(daemon.rejected(.memory) == 1)
        #expect(daemon.early(Request(method: "POST", target: "/prometheus/api/v1/query")) == nil)
        #expect(daemon.get("/api/crest/v1/admission").text.contains("\"state\":\"red\""))
        reservation.release()
        #expect(daemon.early(Self.request(Self.spans(1))) == nil)
    }

    @Test("The report has every tenant's last minute")
    func report() {
        let daemon = daemon { $0.tenantRates = RateLimits(bytesPerSecond: 1_000_000, spansPerSecond: 500) }
        for _ in 0..<3 { #expect(daemon.send(Self.request(Self.spans(4))).status == 200) }
        let text = daemon.get("/api/crest/v1/admission").text
        #expect(text.contains(#""tenant":{"bytesPerSecond":1000000,"spansPerSecond":500}"#))
        #expect(text.contains(#""requests":3,"bytes":378,"spans":12,"refused":0"#))
        clock.advance(61)
        #expect(daemon.get("/api/crest/v1/admission").text.contains(#""requests":0"#))
        #expect(
            daemon.router.context.admission.selfMetrics.contains {
                $0.name == "crest_tenant_spans_total" && $0.samples.map(\.value) == [12]
            })
    }

    @Test("Queries beyond the limit get 503 in their dialect")
    func queries() {
        let daemon = daemon()
        let request = Request(method: "GET", target: "/prometheus/api/v1/query?query=1")
        let response = daemon.router.tooManyQueries(request, listener: .http)
        #expect(response.status == 503 && response.text.contains("\"status\":\"error\""))
        #expect(daemon.rejected(.queries) == 1)
        #expect(daemon.router.work(for: request, listener: .http) == .query)
        for path in ["ledger", "status", "admission"] {
            let request = Request(method: "GET", target: "/api/crest/v1/\(path)")
            #expect(daemon.router.work(for: request, listener: .http) == .pool)
        }
    }
}
