/// One HTTP request, complete: its body is read and still encoded as `Content-Encoding` says.
package struct Request: Sendable {
    package var method: String
    /// Path and query as received, percent-encoded.
    package var target: String
    /// Names in lower case, in the order received.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Where it came from; nil when nobody knows.
    package var peer: PeerAddress?
    /// What it holds of the memory budget; nil until its body begins.
    package var reservation: MemoryReservation?
    /// When it was complete, in nanoseconds of a clock that never steps; zero when nobody looked.
    package var completedNanoseconds: UInt64 = 0
    /// Bytes of the body that a rate limit has seen already.
    var chargedBytes = 0

    package init(method: String, target: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }

    /// The first value of a header, by its lower-case name.
    package func header(_ name: String) -> String? {
        headers.first { $0.name == name }?.value
    }

    /// The target up to its `?`, still percent-encoded.
    package var rawPath: Substring {
        let end = target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
        return target[..<end]
    }

    /// The target after its `?`, still percent-encoded; empty when there is none.
    package var rawQuery: Substring {
        guard let mark = target.utf8.firstIndex(of: UInt8(ascii: "?")) else { return "" }
        return target[target.utf8.index(after: mark)...]
    }
}

/// One HTTP response, complete. `Content-Length` is the listener's to add, unless a header of that name is there
/// (only in the answer to HEAD, whose body is empty).
package struct Response: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of a header, by its lower-case name.
    package func header(_ name: String) -> String? {
        headers.first { $0.name == name }?.value
    }
}

extension Response {
    static func text(_ text: String, status: Int = 200) -> Response {
        Response(status: status, headers: [("content-type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }

    static func json(_ body: [UInt8], status: Int = 200) -> Response {
        Response(status: status, headers: [("content-type", "application/json")], body: body)
    }
}
