internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

/// Carries one request body to the server. The only place of the exporter that knows the network.
package protocol SpanTransport: Sendable {
    func post(_ body: [UInt8]) async -> ExportOutcome
    func shutdown() async
}

/// `POST` with `application/x-protobuf` over keep-alive connections.
///
/// Its client has no tracer: a client that traced its own exports would never come to rest.
struct HTTPSpanTransport: SpanTransport {
    private let client: HTTPClient
    private let url: String
    private let headers: HTTPHeaders
    private let timeout: TimeAmount

    init(url: String, headers: [(String, String)], timeout: Duration) {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)))
        configuration.tracing.tracer = nil
        self.client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        self.url = url
        var all = HTTPHeaders([
            ("content-type", "application/x-protobuf"), ("user-agent", "crest-client-swift/\(crestClientVersion)"),
        ])
        for (name, value) in headers { all.replaceOrAdd(name: name, value: value) }
        self.headers = all
        self.timeout = TimeAmount(timeout)
    }

    func post(_ body: [UInt8]) async -> ExportOutcome {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let response = try await client.execute(request, timeout: timeout)
            let reply = try await response.body.collect(upTo: 4 << 20)
            return .reply(
                status: Int(response.status.code), retryAfter: response.headers.first(name: "retry-after"),
                rejectedSpans: parseRejectedSpans(Array(reply.readableBytesView)))
        } catch {
            return .unreachable
        }
    }

    func shutdown() async {
        // Nothing is in flight any more; a failure here leaves only idle sockets, which go with the process.
        do { try await client.shutdown() } catch { return }
    }
}
