internal import AsyncHTTPClient
internal import Glibc
internal import NIOCore

/// Turns what the network layer throws into a sentence for the user.
enum ConnectionFailure {
    static func explain(_ error: any Error, base: String) -> Failure {
        if let error = error as? HTTPClientError {
            switch error {
            case .invalidURL, .emptyHost, .emptyScheme:
                return .usage("'\(base)' is no server URL; write http://HOST:PORT")
            case .deadlineExceeded, .readTimeout:
                return .unreachable("\(base) did not answer in time; is crestd running?")
            case .connectTimeout, .getConnectionFromPoolTimeout:
                return unreachable(base, "no answer to the connection attempt")
            case .remoteConnectionClosed:
                return unreachable(base, "it closed the connection")
            default:
                return unreachable(base, error.shortDescription)
            }
        }
        if let error = error as? IOError { return unreachable(base, reason(error.errnoCode)) }
        let text = String(describing: error)
        if let code = errorCode(in: text) { return unreachable(base, reason(code)) }
        if text.hasPrefix("DNS error") { return unreachable(base, "the host name is not known") }
        return unreachable(base, SafeText.escape(String(text.prefix(200))))
    }

    private static func unreachable(_ base: String, _ reason: String) -> Failure {
        .unreachable("cannot reach \(base): \(reason); is crestd running?")
    }

    private static func reason(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }

    /// Several addresses of a host may each have failed; the error then only names the codes in its text.
    private static func errorCode(in text: String) -> Int32? {
        guard let mark = text.split(separator: "errno: ", maxSplits: 1).dropFirst().first else { return nil }
        return Int32(mark.prefix { $0.isNumber })
    }
}
