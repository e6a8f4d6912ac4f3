import Endpoints
import Listeners
import Synchronization
import Testing

/// A server on a free port that is drained when the test ends.
final class ServerUnderTest {
    let server: HTTPServer
    let port: UInt16

    init(limits: HTTPLimits = HTTPLimits(), service: HTTPService = .echo) throws {
        server = try HTTPServer(limits: limits, loopThreads: 1, poolThreads: 1)
        port = try server.bind(BindAddress(host: "127.0.0.1", port: 0), service: service).port
    }

    deinit { server.drain(within: .seconds(5)) }

    func connect() throws -> RawConnection { try RawConnection(port: port, owner: self) }
}

extension HTTPService {
    /// Answers with method, target and body of the request; `/slow` from the pool, `/later` from another thread.
    static let echo = HTTPService(
        respond: { request, _, reply in
            let body = Array("\(request.method) \(request.target) ".utf8) + request.body
            let response = Response(status: 200, headers: [("content-type", "text/plain")], body: body)
            if request.target == "/later" {
                BackgroundThread { reply(response) }.detach()
            } else {
                reply(response)
            }
        }, lane: { $0.target == "/slow" ? .pool : .loop })
}

@Suite struct HTTPServerTests {
    @Test("A connection is kept and answers one request after the other")
    func keepAlive() throws {
        let connection = try ServerUnderTest().connect()
        for target in ["/a", "/slow", "/later", "/b"] {
            try connection.send("POST \(target) HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            let response = try connection.readResponse()
            #expect(response.status == 200)
            #expect(response.body == "POST \(target) abc")
            #expect(response.headers["x-content-type-options"] == "nosniff")
            #expect(response.headers["connection"] == nil)
        }
    }

    @Test("Pipelined requests are answered in order, whatever answers them")
    func pipelining() throws {
        let connection = try ServerUnderTest().connect()
        let targets = (0..<300).map { $0 % 3 == 0 ? "/slow" : $0 % 3 == 1 ? "/later" : "/\($0)" }
        let requests = targets.map { "GET \($0) HTTP/1.1\r\nHost: x\r\n\r\n" }
        try connection.send(requests.joined())
        let responses = try connection.readResponses(300)
        #expect(responses.map(\.body) == targets.map { "GET \($0) " })
    }

    @Test("Thousands of pipelined requests with answers at once do not grow the stack")
    func pipeliningDepth() throws {
        let connection = try ServerUnderTest().connect()
        let count = 5_000
        try connection.send(
            String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: count) + "GET /end HTTP/1.0\r\n\r\n")
        let all = try connection.readToEnd()
        #expect(all.hasSuffix("GET /end "))
    }

    @Test("A request in pieces of every size is the same request", arguments: [1, 2, 3, 7, 64])
    func pieces(size: Int) throws {
        let connection = try ServerUnderTest().connect()
        let bytes = Array(
            "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try connection.send(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(try connection.readResponse().body == "POST /p abcde")
    }

    @Test("HEAD tells the length and sends no body")
    func head() throws {
        let connection = try ServerUnderTest().connect()
        try connection.send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nGET /y HTTP/1.0\r\n\r\n")
        let all = try connection.readToEnd()
        #expect(all.contains("content-length: 8\r\n"))
        #expect(!all.contains("HEAD /x "))
        #expect(all.hasSuffix("GET /y "))
    }

    @Test("HTTP/1.0 and Connection: close end with the connection")
    func close() throws {
        let server = try ServerUnderTest()
        for request in ["GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"] {
            let connection = try server.connect()
            try connection.send(request)
            let all = try connection.readToEnd()
            #expect(all.contains("connection: close\r\n"))
            #expect(all.hasSuffix("GET /a "))
        }
    }

    @Test("A client that ends its half is answered", arguments: ["/now", "/later", "/slow"])
    func halfClose(target: String) throws {
        let connection = try ServerUnderTest().connect()
        try connection.send("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.finishSending()
        #expect(try connection.readToEnd().hasSuffix("GET \(target) "))
    }

    @Test("Expect: 100-continue is answered before the body")
    func expectContinue() throws {
        let connection = try ServerUnderTest().connect()
        try connection.send("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        #expect(try connection.readResponse().status == 100)
        try connection.send("ok")
        #expect(try connection.readResponse().body == "POST /c ok")
    }

    @Test("Header values cannot start headers of their own")
    func headerInjection() throws {
        let service = HTTPService(respond: { _, _, reply in
            reply(Response(status: 200, headers: [("x-name", "a\r\nset-cookie: b")]))
        })
        let connection = try ServerUnderTest(service: service).connect()
        try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        let response = try connection.readResponse()
        #expect(response.headers["x-name"] == "a  set-cookie: b")
        #expect(response.headers["set-cookie"] == nil)
    }

    @Test("204 and 304 have neither length nor body", arguments: [204, 304])
    func noContent(status: Int) throws {
        let service = HTTPService(respond: { _, _, reply in reply(Response(status: status, body: [1, 2, 3])) })
        let connection = try ServerUnderTest(service: service).connect()
        try connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        let response = try connection.readResponse()
        #expect(response.status == status)
        #expect(response.headers["content-length"] == nil)
    }

    @Test("A large response reaches a client that reads slowly, and the next request is answered")
    func largeResponse() throws {
        let service = HTTPService(respond: { request, _, reply in
            reply(Response(status: 200, body: [UInt8](repeating: 0x61, count: request.target == "/big" ? 8 << 20 : 1)))
        })
        let connection = try ServerUnderTest(service: service).connect()
        try connection.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\nGET /small HTTP/1.0\r\n\r\n")
        let all = try connection.readToEnd()
        #expect(all.utf8.count > 8 << 20)
        #expect(all.hasSuffix("\r\n\r\na"))
    }

    @Test("A taken port is told as such")
    func portTaken() throws {
        let first = try ServerUnderTest()
        let address = BindAddress(host: "127.0.0.1", port: first.port)
        let second = try HTTPServer(loopThreads: 1, poolThreads: 1)
        #expect(throws: ListenerError.addressInUse(address)) { try second.bind(address, service: .echo) }
        second.drain(within: .seconds(1))
    }
}
