package import WireFormats

/// The end of a gRPC call: what a ``Response`` says, in gRPC's terms.
package struct GRPCReply: Sendable {
    /// Lets a handler name a status of its own, in decimal.
    static let statusHeader = "grpc-status"
    /// What `grpc-accept-encoding` says in every answer.
    package static let acceptedEncodings = "identity,deflate,gzip,zstd"

    package let code: RPCCode
    /// For people; empty when all went well.
    package let message: String
    /// The message of the answer; empty unless `code` is ok.
    package let body: [UInt8]
    /// Headers of ours, such as `crest-seq`.
    package let metadata: [(name: String, value: String)]
    /// Seconds after which the client may send the same again; nil: it should not.
    package let retryAfter: Int?

    package init(_ response: Response) {
        let named = response.header(Self.statusHeader).flatMap { UInt8($0) }.flatMap { RPCCode(rawValue: $0) }
        code = named ?? Self.code(ofHTTP: response.status)
        if code == .ok {
            (message, body) = ("", response.body)
        } else {
            let text = String(decoding: response.body, as: UTF8.self)
            message = text.hasSuffix("\n") ? String(text.dropLast()) : text
            body = []
        }
        metadata = response.headers.filter { $0.name.hasPrefix("crest-") }
        retryAfter = response.header("retry-after").flatMap { Int($0) }
    }

    /// The reply codes that HTTP and gRPC share.
    private static func code(ofHTTP status: Int) -> RPCCode {
        switch status {
        case 200...299: .ok
        case 400: .invalidArgument
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404, 405, 415: .unimplemented
        case 408, 504: .deadlineExceeded
        case 413, 429, 431: .resourceExhausted
        case 503: .unavailable
        default: .internal
        }
    }
}
