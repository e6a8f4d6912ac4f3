package import Endpoints
package import Telemetry

/// What a listener asks of the code above it. One value a listener; all closures may be called from any event loop.
package struct HTTPService: Sendable {
    /// Answers one request. `reply` is called exactly once, from any thread. The budget is cancelled when the
    /// connection breaks before that.
    package typealias Respond =
        @Sendable (
            _ request: Request, _ budget: QueryBudget, _ reply: @escaping @Sendable (Response) -> Void
        ) -> Void

    /// Where ``respond`` runs.
    package enum Lane: Sendable {
        /// On the event loop: it never waits.
        case loop
        /// On a thread pool: it may block.
        case pool
        /// On a pool of its own, for which only `HTTPLimits.queries` may wait: it may take long.
        case query
    }

    package var respond: Respond
    /// The answer to a request whose body need not be read, asked when its head is there and a body follows.
    /// Nil: the body is read and ``respond`` asked. May reserve memory for the request, which has no body yet.
    package var preempt: @Sendable (_ head: inout Request) -> Response?
    package var lane: @Sendable (Request) -> Lane
    /// The answer to a request that the listener refuses by itself. The target is empty when it was not readable.
    package var refuse: @Sendable (_ refusal: HTTPRefusal, _ head: Request) -> Response

    package init(
        respond: @escaping Respond, preempt: @escaping @Sendable (_ head: inout Request) -> Response? = { _ in nil },
        lane: @escaping @Sendable (Request) -> Lane = { _ in .loop },
        refuse: @escaping @Sendable (HTTPRefusal, Request) -> Response = { refusal, _ in refusal.response }
    ) {
        self.respond = respond
        self.preempt = preempt
        self.lane = lane
        self.refuse = refuse
    }
}

/// Why a listener answers a request without asking the service. The connection is closed after each but `queries`.
package enum HTTPRefusal: Hashable, Sendable {
    /// Not HTTP/1.x, or malformed.
    case malformed(String)
    case version
    case bodyTooLarge(limit: Int)
    case headerTooLarge(limit: Int)
    case slowHeader(seconds: Int)
    case slowBody(seconds: Int)
    /// What requests hold fills the memory budget.
    case busy(retryAfter: Int)
    /// As many queries run and wait as may.
    case queries

    package var status: Int {
        switch self {
        case .malformed: 400
        case .slowHeader, .slowBody: 408
        case .bodyTooLarge: 413
        case .headerTooLarge: 431
        case .busy, .queries: 503
        case .version: 505
        }
    }

    package var message: String {
        switch self {
        case .malformed(let what): "malformed HTTP request: \(what)"
        case .version: "only HTTP/1.0 and HTTP/1.1 are spoken here"
        case .bodyTooLarge(let limit): "the body is larger than \(limit) bytes"
        case .headerTooLarge(let limit): "the request line and headers are larger than \(limit) bytes"
        case .slowHeader(let seconds): "the request's headers took longer than \(seconds) s"
        case .slowBody(let seconds): "the request's body came too slowly or took longer than \(seconds) s"
        case .busy: "too many bytes are being received; try again later"
        case .queries: "as many queries run and wait as may; try again later"
        }
    }

    /// The reason under which the refusal is counted.
    package var reason: RequestRejection {
        switch self {
        case .malformed, .version: .malformed
        case .bodyTooLarge, .headerTooLarge: .tooLarge
        case .slowHeader, .slowBody: .timeout
        case .busy: .memory
        case .queries: .queries
        }
    }

    /// The plain-text answer.
    package var response: Response {
        var headers = [("content-type", "text/plain; charset=utf-8")]
        switch self {
        case .busy(let seconds): headers.append(("retry-after", "\(seconds)"))
        case .queries: headers.append(("retry-after", "1"))
        default: break
        }
        return Response(status: status, headers: headers, body: Array("\(message)\n".utf8))
    }
}

/// What one client may use of an ``HTTPServer``, and for how long.
package struct HTTPLimits: Sendable {
    /// Bytes of a body as sent; more: 413.
    package var bodyBytes = Limits.bodyBytes
    /// Bytes of a request line and its headers, and fields among them; more: 431.
    package var headerBytes = Limits.headerBytes
    package var headerFields = 128
    /// Bytes of a chunked body that are no body, beyond 16 a chunk and twice the data; more: 400.
    package var chunkOverheadBytes = Limits.chunkOverheadBytes
    /// Bytes that all requests may hold when the server is given no budget; beyond: 503 with Retry-After.
    package var bodyBytesInFlight = 192 << 20
    /// Queries that run and wait; more: 503.
    package var queries = Limits.queriesAtOnce
    /// Open connections; more are closed at once.
    package var connections = 1_024
    /// Of them, of one address (IPv4, or an IPv6 /64).
    package var connectionsPerAddress = 256
    /// From the first byte of a request to the end of its headers; longer: 408.
    package var headerTimeout = Duration.seconds(10)
    /// From the end of the headers to the end of the body; longer: 408.
    package var bodyTimeout = Duration.seconds(60)
    /// Bytes of a body in a second, and the period over which they are looked for; less: 408.
    package var bodyBytesPerSecond = Limits.bodyBytesPerSecond
    package var bodySpeedPeriod = Duration.seconds(Limits.bodySpeedSeconds)
    /// Between two requests; longer: the connection is closed.
    package var idleTimeout = Duration.seconds(75)
    /// A response that the peer does not take for so long closes the connection.
    package var writeTimeout = Duration.seconds(30)
    /// How long a refused connection is read, and what is read dropped, so that the peer sees the answer.
    package var lingerTimeout = Duration.seconds(3)
    /// Requests of one event loop that are told in a second, without a delay, to come again; the answers to more are
    /// held back for so many milliseconds.
    package var refusalsAtOnce = 10
    package var refusalHold: ClosedRange<Int64> = 1_000...3_000
    /// How often the timeouts are looked at.
    package var sweepInterval = Duration.seconds(1)

    package init() {}
}
