internal import Endpoints
internal import NIOCore

/// How a response leaves: which parts of it the request and the connection want.
struct ResponseFraming {
    /// False for HEAD: the length is told and the body left out.
    var sendsBody: Bool
    var closes: Bool
}

extension ByteBuffer {
    /// Appends the response in HTTP/1.1 form, complete with `content-length` unless the response brings its own.
    ///
    /// Bytes below 0x20 in header values become spaces, so that no value can start a header of its own.
    mutating func writeResponse(_ response: Response, framing: ResponseFraming) {
        writeString("HTTP/1.1 ")
        writeDecimal(response.status)
        writeString(" ")
        writeString(reasonPhrase(response.status))
        writeString("\r\n")
        var hasLength = false
        var hasCaching = false
        var hasPolicy = false
        for (name, value) in response.headers {
            switch name {
            case "content-length": hasLength = true
            case "cache-control": hasCaching = true
            case "content-security-policy": hasPolicy = true
            default: break
            }
            writeString(name)
            writeString(": ")
            writeHeaderValue(value)
            writeString("\r\n")
        }
        writeStaticString(protectiveHeaders)
        if !hasCaching { writeStaticString("cache-control: no-store\r\n") }
        if !hasPolicy { writeStaticString("content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n") }
        if framing.closes { writeString("connection: close\r\n") }
        // RFC 9110: no length for 1xx and 204; 304 has none because it has no body here.
        let hasBody = response.status >= 200 && response.status != 204 && response.status != 304
        if hasBody && !hasLength {
            writeString("content-length: ")
            writeDecimal(response.body.count)
            writeString("\r\n")
        }
        writeString("\r\n")
        if hasBody && framing.sendsBody { writeBytes(response.body) }
    }

    private mutating func writeHeaderValue(_ value: String) {
        if value.utf8.allSatisfy({ $0 >= 0x20 }) {
            writeString(value)
        } else {
            writeBytes(value.utf8.map { $0 < 0x20 ? 0x20 : $0 })
        }
    }

    private mutating func writeDecimal(_ value: Int) { writeString(String(value)) }
}

/// What no response goes without: a browser shall guess no type, show no answer in a frame, and
/// tell nobody our paths.
private let protectiveHeaders: StaticString =
    "x-content-type-options: nosniff\r\nx-frame-options: DENY\r\nreferrer-policy: no-referrer\r\n"

/// Upper bound of the head of `response` in bytes, for the first allocation.
func headBytes(of response: Response) -> Int {
    response.headers.reduce(400) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
}

private func reasonPhrase(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 202: "Accepted"
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 304: "Not Modified"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 411: "Length Required"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 422: "Unprocessable Content"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
}
