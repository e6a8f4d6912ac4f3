internal import Synchronization
package import Telemetry

/// Decides whether a request that brings telemetry is let in: by the memory it will take, by what its tenant and its
/// address have sent lately, and by how long it has waited.
package final class AdmissionControl: Sendable {
    /// What may be set.
    package struct Settings: Hashable, Sendable {
        /// Of each tenant.
        package var tenantRates = RateLimits()
        /// Of single tenants, in place of the general ones.
        package var ratesByTenant: [String: RateLimits] = [:]
        /// Of each address, for requests without a token.
        package var sourceRates = RateLimits()

        package init() {}
    }

    package let budget: MemoryBudget
    let settings: Settings
    package let tenants: TenantMeters
    /// Nil when addresses are not limited.
    let sources: SourceBuckets<RateBuckets>?
    private let failures: SourceBuckets<TokenBucket>
    private let clock: @Sendable () -> UInt64

    /// - Parameter clock: nanoseconds of a clock that never steps, the one of ``Request/completedNanoseconds``.
    package init(
        budget: MemoryBudget = MemoryBudget(limitBytes: .max, requestBytes: .max), settings: Settings = Settings(),
        clock: @escaping @Sendable () -> UInt64 = { 0 }
    ) {
        self.budget = budget
        self.settings = settings
        self.clock = clock
        tenants = TenantMeters(
            limits: settings.tenantRates, special: settings.ratesByTenant, most: Limits.meteredTenants)
        let rates = settings.sourceRates
        sources =
            rates.isUnlimited
            ? nil
            : SourceBuckets(most: Limits.limitedSources) {
                RateBuckets(rates, now: $0)
            } isFull: {
                $0.isFull(now: $1)
            }
        failures = SourceBuckets(most: Limits.limitedSources) { now in
            let count = Double(Limits.failedTokensPerMinute)
            return TokenBucket(rate: count / 60, burst: count, now: now)
        } isFull: {
            $0.isFull(now: $1)
        }
    }

    var now: UInt64 { clock() }

    // MARK: Before the body

    /// Reserves memory for a request of which the head is there, and lets the rates see its length.
    /// - Parameter source: the address when it is limited; nil for a request with a token.
    /// - Returns: nil when the body may be read.
    package func admit(_ head: inout Request, tenant: String, source: SourceKey?) -> AdmissionRefusal? {
        let now = now
        let meter = tenants.meter(tenant, now: now)
        let isInflated = head.isCompressed
        let reservation = MemoryReservation(budget, weight: isInflated ? .inflated : .decoded, tenant: meter)
        // A length is a claim. Nobody can send more than the limit, so nobody is charged more.
        let length = head.header("content-length").flatMap { Int($0) }.map { min(max($0, 0), Limits.bodyBytes) }
        if let refusal = length.map({ reservation.cover(body: $0) }) ?? reservation.coverUnknown() {
            meter.noteRefusal(now: now)
            return .memory(refusal)
        }
        if let refusal = rate(bytes: length ?? 0, meter, source, now) {
            meter.noteRefusal(now: now)
            reservation.release()
            return refusal
        }
        head.chargedBytes = length ?? 0
        head.reservation = reservation
        return nil
    }

    /// What a new request with spans is told while the store falls behind; counts it when it is refused.
    /// - Returns: nil for a tenant beside others that hold more than twice as much on the average: it goes on.
    package func refusalWhileBehind(tenant: String) -> CommitRefusal? {
        let now = now
        let meter = tenants.meter(tenant, now: now)
        if meter.isLight(in: budget.reservedBytes) { return nil }
        meter.noteRefusal(now: now)
        budget.noteRefusal(now: now)
        return .busy(retryAfter: 1)
    }

    private func rate(bytes: Int, _ meter: TenantMeter, _ source: SourceKey?, _ now: UInt64) -> AdmissionRefusal? {
        if let sources, let source,
            let wait = sources.with(source, now: now, { $0.admit(bytes: bytes, now: now) })
        {
            return .sourceRate(seconds: wait)
        }
        return meter.admit(bytes: bytes, now: now).map { .tenantRate(seconds: $0) }
    }

    // MARK: The whole request

    /// Counts a complete request.
    package func note(_ request: Request, tenant: String, source: SourceKey?) -> IngestSender {
        let now = now
        let meter = tenants.meter(tenant, now: now)
        meter.note(bytes: request.body.count, now: now)
        let completed = request.completedNanoseconds
        if completed > 0, now > completed { budget.noteWait(now - completed) }
        return IngestSender(control: self, meter: meter, source: source, reservation: request.reservation)
    }

    /// Why a complete request is not worked on: it has waited so long that its client is about to give up, or it came
    /// without a length and only now shows how long it is. Nil: it is.
    func refusal(of request: Request, from sender: IngestSender) -> AdmissionRefusal? {
        let now = now
        let longest = UInt64(Limits.ingestWaitSeconds) * 1_000_000_000
        let completed = request.completedNanoseconds
        if completed > 0, now > completed, now - completed > longest { return .deadline }
        let uncharged = request.body.count - request.chargedBytes
        return uncharged > 0 ? rate(bytes: uncharged, sender.meter, sender.source, now) : nil
    }

    /// A token that is not known came from there. Nil: an answer as usual; else the seconds until the next try.
    ///
    /// A good token is let in from the same address all the same: neighbours behind one address must not be able to
    /// lock each other out, and 256 bits are not found by trying.
    func failedToken(from peer: PeerAddress?) -> Double? {
        guard let peer else { return nil }
        let now = now
        return failures.with(peer.source, now: now) { $0.take(1, now: now) }
    }

    // MARK: The answer

    /// Says in an answer how loaded the daemon is, and in a refusal for want of room when to come again.
    package func finish(_ response: Response, to request: Request) -> Response {
        var response = response
        response.headers.append(("crest-load", String(budget.loadPercent)))
        guard response.status == 503 else { return response }
        let index = response.headers.firstIndex { $0.name == "retry-after" }
        let floor = index.flatMap { Int(response.headers[$0].value) } ?? 1
        let seconds = RetryDelay.seconds(drainSeconds: budget.drainSeconds, floor: floor, peer: request.peer)
        if let index {
            response.headers[index].value = String(seconds)
        } else {
            response.headers.append(("retry-after", String(seconds)))
        }
        return response
    }
}

/// Who sent a request that is worked on.
package struct IngestSender: Sendable {
    let control: AdmissionControl
    let meter: TenantMeter
    let source: SourceKey?
    let reservation: MemoryReservation?

    /// Nil when so many spans may be stored; they count as sent then.
    package func admit(spans count: Int) -> CommitRefusal? {
        let now = control.now
        if let sources = control.sources, let source,
            let wait = sources.with(source, now: now, { $0.admit(spans: count, now: now) })
        {
            return .sourceRate(retryAfter: wholeSeconds(wait))
        }
        return meter.admit(spans: count, now: now).map { .tenantRate(retryAfter: wholeSeconds($0)) }
    }

    /// Whether others crowd the memory and this tenant holds no more than its share.
    var isCrowded: Bool {
        meter.share(of: control.budget.memoryCapacity).map { meter.reserved.load(ordering: .relaxed) <= $0 } ?? false
    }

    var isLight: Bool { meter.isLight(in: control.budget.reservedBytes) }

    /// Whether what others hold is no load: a request is not crowded by itself.
    var isAlone: Bool {
        guard let reservation else { return false }
        let others = max(control.budget.reservedBytes - reservation.heldBytes, 0)
        return LoadState(sharePercent: others.multipliedCapped(by: 100) / control.budget.memoryCapacity) == .green
    }

    /// Counts the answer when it is a refusal that the sender may answer by sending again.
    func note(_ response: Response) {
        if response.status == 503 || response.status == 429 { meter.noteRefusal(now: control.now) }
    }
}

/// Why a request is not let in.
package enum AdmissionRefusal: Error, Hashable, Sendable {
    case memory(MemoryReservation.Refusal)
    case tenantRate(seconds: Double)
    case sourceRate(seconds: Double)
    case deadline
    case failedTokens(seconds: Double)

    package var status: Int {
        switch self {
        case .memory, .deadline: 503
        case .tenantRate, .sourceRate, .failedTokens: 429
        }
    }

    package var reason: RequestRejection {
        switch self {
        case .memory(.memory): .memory
        case .memory(.share): .share
        case .tenantRate: .tenantRate
        case .sourceRate: .sourceRate
        case .deadline: .deadline
        case .failedTokens: .failedTokens
        }
    }

    var message: String {
        switch self {
        case .memory(.memory): "overloaded: requests hold all that there is room and time for; try again later"
        case .memory(.share): "overloaded: this tenant holds its share of all that there is room for; try again later"
        case .tenantRate: "this tenant sends more a second than it may; try again later"
        case .sourceRate: "this address sends more a second than it may; try again later"
        case .deadline: "overloaded: the request waited for more than \(Limits.ingestWaitSeconds) s; try again later"
        case .failedTokens: "unknown tokens come from this address too often; try again later"
        }
    }

    /// What the client is told to wait at least.
    package var retryAfter: Int {
        switch self {
        case .memory, .deadline: 1
        case .tenantRate(let seconds), .sourceRate(let seconds), .failedTokens(let seconds): wholeSeconds(seconds)
        }
    }
}

/// Rounded up, at least one, at most a day.
func wholeSeconds(_ seconds: Double) -> Int { Int(min(max(seconds.rounded(.up), 1), 86_400)) }

extension Request {
    /// Whether the body will be inflated; snappy is named only by some senders of remote write.
    fileprivate var isCompressed: Bool {
        guard let encoding = header("content-encoding") ?? header("grpc-encoding") else {
            return rawPath == "/api/v1/write"
        }
        return encoding != "identity" && !encoding.isEmpty
    }
}

extension Dialect {
    /// 503 or 429 with Retry-After: nothing was stored and the client may send the same again.
    func limited(_ refusal: AdmissionRefusal, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, refusal.reason)
        var response = failure(refusal.status, refusal.message, for: request)
        response.headers.append(("retry-after", String(refusal.retryAfter)))
        return response
    }
}
