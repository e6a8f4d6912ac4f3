internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1

/// The `crestd` a command talks to.
///
/// A connection must stand within 2 s and an answer be complete within 15 s; answers beyond 256 MiB are refused.
struct Server {
    /// Scheme, host, port and perhaps a path prefix; no slash at the end.
    let base: String
    /// Sent with every request; nil: none.
    var token: String?

    static let standard = "http://127.0.0.1:8400"
    private static let answerBytes = 256 * 1_024 * 1_024
    private static let answerTime = TimeAmount.seconds(15)

    /// Lives as long as the program, as its event loop does.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(2)
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// - Parameter text: `http://HOST:PORT`, `https://...`, or `HOST:PORT` alone.
    init(_ text: String) throws(Failure) {
        var text = text.contains("://") ? text : "http://" + text
        while text.hasSuffix("/") { text.removeLast() }
        let lower = text.lowercased()
        let isHTTP = lower.hasPrefix("http://") || lower.hasPrefix("https://")
        let host = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false).last ?? ""
        let hasSpace = text.unicodeScalars.contains { $0.value <= 0x20 || SafeText.isUnsafe($0) }
        guard isHTTP, !host.isEmpty, !hasSpace, !text.contains("?"), !text.contains("#") else {
            throw .usage("'\(SafeText.escape(text))' is no server URL; write http://HOST:PORT")
        }
        base = text
    }

    /// GET; the answer must be JSON with status 200.
    /// - Parameter unknown: what a 404 means here; nil when the path itself must then be unknown.
    func get(
        _ path: String, _ parameters: [(name: String, value: String)] = [], unknown: String? = nil
    ) async throws(Failure) -> JSONValue {
        let answer = try await exchange(HTTPClientRequest(url: base + path + PercentEncoding.query(parameters)))
        try check(answer, path: path, unknown: unknown)
        do {
            return try JSONParser.parse(answer.body)
        } catch {
            throw .error("\(base)\(path) did not answer with JSON: \(error.reason) at byte \(error.offsetBytes)")
        }
    }

    /// POST of a body; any 2xx will do.
    /// - Parameter unknown: as with `get`.
    func post(
        _ path: String, contentType: String, body: String, unknown: String? = nil
    ) async throws(Failure) -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.headers.add(name: "content-type", value: contentType)
        request.body = .bytes(Array(body.utf8))
        let answer = try await exchange(request)
        try check(answer, path: path, unknown: unknown)
        return answer
    }

    /// DELETE; any 2xx will do.
    /// - Parameter unknown: what a 404 means here.
    func delete(_ path: String, unknown: String) async throws(Failure) {
        var request = HTTPClientRequest(url: base + path)
        request.method = .DELETE
        try check(try await exchange(request), path: path, unknown: unknown)
    }

    struct Answer {
        let status: Int
        let body: [UInt8]
    }

    private func exchange(_ request: HTTPClientRequest) async throws(Failure) -> Answer {
        var request = request
        request.headers.add(name: "accept", value: "application/json")
        if let token { request.headers.add(name: "authorization", value: "Bearer " + token) }
        request.headers.add(name: "user-agent", value: "crest/" + Version.text)
        do {
            let response = try await Self.client.execute(request, timeout: Self.answerTime)
            let body = try await response.body.collect(upTo: Self.answerBytes)
            return Answer(status: Int(response.status.code), body: Array(body.readableBytesView))
        } catch let error as NIOTooManyBytesError {
            _ = error
            throw .error("\(base) answered with more than \(Self.answerBytes) bytes; narrow the question")
        } catch {
            throw ConnectionFailure.explain(error, base: base)
        }
    }

    private func check(_ answer: Answer, path: String, unknown: String?) throws(Failure) {
        guard !(200...299).contains(answer.status) else { return }
        let said = ServerError.message(in: answer.body)
        switch answer.status {
        case 400: throw .usage(said ?? "the server refused the request (400)")
        case 401, 403:
            throw .unauthorized("\(base) refused access (\(answer.status))" + (said.map { ": \($0)" } ?? ""))
        case 404:
            if let unknown { throw .unknown(unknown) }
            throw .error("\(base) has no \(path); is it a crestd, and as new as this crest?")
        default:
            throw .error("\(base) answered \(answer.status)" + (said.map { ": \($0)" } ?? ""))
        }
    }
}
