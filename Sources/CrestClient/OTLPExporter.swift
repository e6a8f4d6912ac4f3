internal import Synchronization
internal import Tracing

/// Sends finished spans to an OTLP/HTTP endpoint, or as Crest datagrams, in batches, in the background.
///
/// ```swift
/// let exporter = try OTLPExporter(.init(endpoint: "http://127.0.0.1:4318"))
/// InstrumentationSystem.bootstrap(CrestTracer(exporter.recorder(for: Resource(serviceName: "cart"))))
/// ...
/// let statistics = await exporter.shutdown(within: .seconds(5))
/// print("lost \(statistics.dropped.total) of \(statistics.ended) spans")
/// ```
///
/// Recording never waits and never throws: what does not fit in the bounded queue is dropped and counted. Each
/// batch is repeated as OTLP allows, until `retryLimit`. Forgetting the exporter without `shutdown` still sends
/// what is queued, if the process lives long enough.
public final class OTLPExporter: Sendable {
    /// Where to send and how much to hold.
    public struct Configuration: Sendable {
        /// `http://HOST:PORT` or `https://...`. `/v1/traces` is added unless the URL has a path of its own.
        public var endpoint: String
        /// Sent with each request, for example `("authorization", "Bearer ...")`.
        public var headers: [(String, String)] = []
        /// Spans in one request at most.
        public var batchSpans = 512
        /// The longest a span waits for its batch to fill.
        public var batchInterval: Duration = .milliseconds(500)
        /// Spans recorded and not yet settled, at most.
        public var maximumQueuedSpans = 65_536
        /// The same in bytes.
        public var maximumQueuedBytes = 64 << 20
        /// Requests at the same time.
        public var concurrentRequests = 2
        /// For one request, from connecting to the last byte of the answer.
        public var requestTimeout: Duration = .seconds(10)
        /// How long a batch is repeated before its spans count as dropped.
        public var retryLimit: Duration = .seconds(60)

        /// Send spans as Crest datagrams instead. The endpoint and what belongs to requests is not used then.
        public var datagrams: DatagramOptions?

        public init(endpoint: String = "http://127.0.0.1:4318") { self.endpoint = endpoint }
    }

    /// Spans as numbered datagrams to `crestd --crest-udp`: cheaper than requests, and never acknowledged. The server
    /// knows to the span what did not arrive.
    public struct DatagramOptions: Sendable {
        /// `HOST:PORT`; IPv6 in brackets.
        public var address: String
        /// Bytes of one datagram, 512 to 65,507; a longer span has one of its own. 1,400 passes any network whole;
        /// larger ones are cheaper on loopback.
        public var maximumBytes = 1_400
        /// The key of `crestd --crest-udp-key-file`, 16 to 4,096 bytes: each datagram is authenticated with it. Not a
        /// secrecy: what is sent can still be read on its way.
        public var key: [UInt8]?

        public init(address: String = "127.0.0.1:8401") { self.address = address }
    }

    private let queue: SpanQueue
    private let supervisor: Task<Void, Never>
    private let interval: Duration

    /// - Throws: `ConfigurationError` when the endpoint is not an HTTP URL.
    public convenience init(_ configuration: Configuration = Configuration()) throws(ConfigurationError) {
        if let options = configuration.datagrams {
            let queue = Self.queue(configuration)
            self.init(configuration, queue: queue, sender: try DatagramSpanSender(queue, options))
            return
        }
        let url = try tracesURL(configuration.endpoint)
        let transport = HTTPSpanTransport(
            url: url, headers: configuration.headers, timeout: configuration.requestTimeout)
        self.init(configuration, transport: transport, policy: RetryPolicy())
    }

    package init(_ configuration: Configuration, transport: some SpanTransport, policy: RetryPolicy) {
        let queue = Self.queue(configuration)
        self.queue = queue
        self.interval = max(configuration.batchInterval, .milliseconds(1))
        let interval = self.interval
        let senders = min(max(1, configuration.concurrentRequests), 64)
        let sender = BatchSender(
            queue: queue, transport: transport, policy: policy, retryLimit: configuration.retryLimit)
        self.supervisor = Task.detached {
            let ticker = Task.detached {
                while (try? await Task.sleep(for: interval)) != nil { queue.flush() }
            }
            await withDiscardingTaskGroup { group in
                for _ in 0..<senders { group.addTask { await sender.run() } }
            }
            ticker.cancel()
            await transport.shutdown()
        }
    }

    private init(_ configuration: Configuration, queue: SpanQueue, sender: DatagramSpanSender) {
        self.queue = queue
        self.interval = max(configuration.batchInterval, .milliseconds(1))
        let interval = self.interval
        self.supervisor = Task.detached {
            let ticker = Task.detached {
                while (try? await Task.sleep(for: interval)) != nil {
                    sender.reportIfDue()
                    queue.flush()
                }
            }
            // One sender: the numbers leave in their order.
            await sender.run()
            ticker.cancel()
        }
    }

    private static func queue(_ configuration: Configuration) -> SpanQueue {
        SpanQueue(
            limits: .init(
                maximumSpans: configuration.maximumQueuedSpans, maximumBytes: configuration.maximumQueuedBytes,
                batchSpans: configuration.batchSpans))
    }

    deinit { queue.close() }

    /// A handle through which one source of spans (one service, one library) reports.
    ///
    /// Make it once and keep it: the resource is encoded here, and each recorder lives as long as the exporter.
    public func recorder(
        for resource: Resource, scope: InstrumentationScope = .crestClient
    ) -> SpanRecorder {
        SpanRecorder(queue: queue, source: queue.addSource(resource, scope))
    }

    /// Exact at the moment of the call.
    public var statistics: SpanStatistics { queue.statistics }

    /// Sends the open batch now and waits until nothing is pending.
    /// - Returns: false when something was still pending at the deadline.
    public func flush(within deadline: Duration) async -> Bool {
        queue.flush()
        return await settled(by: .now + deadline)
    }

    /// Takes no more spans, sends what is queued, and stops.
    ///
    /// Spans still pending at the deadline count as `dropped.shutdown`. Calling it again is harmless.
    @discardableResult
    public func shutdown(within deadline: Duration = .seconds(5)) async -> SpanStatistics {
        queue.close()
        if await !settled(by: .now + deadline) {
            supervisor.cancel()
            queue.dropReady()
        }
        await supervisor.value
        return queue.statistics
    }

    private func settled(by deadline: ContinuousClock.Instant) async -> Bool {
        while queue.statistics.pending > 0 {
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: .milliseconds(2))) != nil else {
                return false
            }
        }
        return true
    }
}

/// Records finished spans of one source. Cheap to copy, safe from any thread.
public struct SpanRecorder: Sendable {
    let queue: SpanQueue
    let source: Int

    /// Takes the span over. Never waits for the network; see ``SpanStatistics`` for what became of it.
    public func record(_ span: SpanData) { queue.append(span, source: source) }

    /// Sends the open batch now instead of at the next tick. Does not wait for the answer.
    public func flush() { queue.flush() }
}

/// A setting that cannot work. The text says which one and what it should look like.
public struct ConfigurationError: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// The URL to post to. A bare `scheme://authority` gets OTLP's path.
package func tracesURL(_ endpoint: String) throws(ConfigurationError) -> String {
    let scheme: String
    if endpoint.hasPrefix("http://") {
        scheme = "http://"
    } else if endpoint.hasPrefix("https://") {
        scheme = "https://"
    } else {
        throw ConfigurationError("endpoint \"\(endpoint)\": want http://HOST:PORT or https://HOST:PORT")
    }
    let rest = endpoint.dropFirst(scheme.count)
    let authority = rest.prefix { $0 != "/" }
    guard !authority.isEmpty, !authority.contains(where: { $0.isWhitespace }) else {
        throw ConfigurationError("endpoint \"\(endpoint)\": the host is missing")
    }
    let path = rest.dropFirst(authority.count)
    return path.isEmpty || path == "/" ? scheme + authority + "/v1/traces" : endpoint
}
