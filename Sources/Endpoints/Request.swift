/// One HTTP request, complete: its body is read and still encoded as `Content-Encoding` says.
package struct Request: Sendable {
    package var method: String
    /// Path and query as received, percent-encoded.
    package var target: String
    /// Names in lower case, in the order received.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

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
}

/// One HTTP response, complete. `Content-Length` is the listener's to add.
package struct Response: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
