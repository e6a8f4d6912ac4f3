import Endpoints
import Listeners
import Synchronization
import Testing

/// Requests that two parsers could cut apart at different places. Each is followed by a hidden request; whatever the
/// form, there is one answer, 400, the connection is closed, and the service sees neither.
@Suite struct SmugglingTests {
    /// A name, and what stands before the hidden request.
    struct Form: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: String
        var testDescription: String { name }

        init(_ name: String, _ bytes: String) {
            self.name = name
            self.bytes = bytes
        }
    }

    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

    /// A POST with these header lines and this body.
    private static func post(_ name: String, _ lines: String..., body: String = "") -> Form {
        Form(name, "POST /a HTTP/1.1\r\nHost: x\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n" + body)
    }

    private static func chunked(_ name: String, _ body: String) -> Form {
        post(name, "Transfer-Encoding: chunked", body: body)
    }

    private static let empty = "0\r\n\r\n"

    static let bothLengths = [
        post("TE and CL", "Transfer-Encoding: chunked", "Content-Length: 5", body: empty),
        post("CL and TE", "Content-Length: 5", "Transfer-Encoding: chunked", body: empty),
        post("CL 0 and TE", "Content-Length: 0", "Transfer-Encoding: chunked", body: empty),
        post("TE in capitals and CL", "TRANSFER-ENCODING: CHUNKED", "CONTENT-LENGTH: 5", body: empty),
        post("TE identity and CL", "Transfer-Encoding: identity", "Content-Length: 3", body: "abc"),
        post(
            "TE identity and chunked, and CL", "Transfer-Encoding: identity, chunked", "Content-Length: 5", body: empty),
        post("TE with a tab and CL", "Transfer-Encoding:\tchunked", "Content-Length: 5", body: empty),
        post("TE twice and CL", "Transfer-Encoding: chunked", "Transfer-Encoding: x", "Content-Length: 5", body: empty),
    ]

    static let lengths = [
        post("two lengths", "Content-Length: 3", "Content-Length: 4", body: "abcd"),
        post("the same length twice", "Content-Length: 3", "Content-Length: 3", body: "abc"),
        post("lengths in a list", "Content-Length: 3, 4", body: "abcd"),
        post("the same length in a list", "Content-Length: 3, 3", body: "abc"),
        post("a length with a sign", "Content-Length: +3", body: "abc"),
        post("a negative length", "Content-Length: -3", body: "abc"),
        post("a hexadecimal length", "Content-Length: 0x3", body: "abc"),
        post("a length with a point", "Content-Length: 3.0", body: "abc"),
        post("a length with an exponent", "Content-Length: 3e0", body: "abc"),
        post("a length with a blank inside", "Content-Length: 3 0", body: "abc"),
        post("a length with an underscore", "Content-Length: 1_0", body: "abcdefghij"),
        post("a length in quotes", "Content-Length: \"3\"", body: "abc"),
        post("no length at all", "Content-Length:", body: "abc"),
        post("a length beyond 64 bits", "Content-Length: 18446744073709551619", body: "abc"),
        post("a length of thirty digits", "Content-Length: 100000000000000000000000000003", body: "abc"),
        post("a length in Arabic digits", "Content-Length: \u{663}", body: "abc"),
        post("a length with a letter behind", "Content-Length: 3a", body: "abc"),
        post("a length with a NUL behind", "Content-Length: 3\0", body: "abc"),
        post("a length with a vertical tab", "Content-Length: \u{B}3", body: "abc"),
    ]

    static let encodings = [
        post("a blank before the colon of TE", "Transfer-Encoding : chunked", body: empty),
        post("a tab before the colon of TE", "Transfer-Encoding\t: chunked", body: empty),
        post("a blank before the colon of CL", "Content-Length : 3", body: "abc"),
        post("TE in a folded line", "Transfer-Encoding:\r\n chunked", body: empty),
        post("CL in a folded line", "Content-Length:\r\n 3", body: "abc"),
        post("a folded line behind TE", "Transfer-Encoding: chunked\r\n\tx", body: empty),
        post("a folded first header", " X: y", "Content-Length: 3", body: "abc"),
        post("an unknown encoding", "Transfer-Encoding: xchunked", body: empty),
        post("chunked is not the last", "Transfer-Encoding: chunked, gzip", body: empty),
        post("chunked, then identity", "Transfer-Encoding: chunked, identity", body: empty),
        post("gzip alone", "Transfer-Encoding: gzip", body: empty),
        post("gzip, then chunked", "Transfer-Encoding: gzip, chunked", body: empty),
        post("chunked twice", "Transfer-Encoding: chunked, chunked", body: empty),
        post("TE twice", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body: empty),
        post("TE twice, the second unknown", "Transfer-Encoding: chunked", "Transfer-Encoding: cow", body: empty),
        post("TE in quotes", "Transfer-Encoding: \"chunked\"", body: empty),
        post("TE without a value", "Transfer-Encoding:", body: empty),
        post("TE with a NUL", "Transfer-Encoding: chunked\0", body: empty),
        post("TE with a parameter", "Transfer-Encoding: chunked;q=1", body: empty),
        post("TE with a leading comma", "Transfer-Encoding: ,chunked", body: empty),
        post("TE with a vertical tab", "Transfer-Encoding: \u{B}chunked", body: empty),
        Form("TE in HTTP/1.0", "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + empty),
    ]

    static let lines = [
        Form("bare LF everywhere", "POST /a HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc"),
        Form("bare LF behind the request line", "GET /a HTTP/1.1\nHost: x\r\n\r\n"),
        Form("bare LF behind a header", "GET /a HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
        Form("bare LF ends the headers", "GET /a HTTP/1.1\r\nHost: x\r\n\n"),
        Form("bare CR behind the request line", "GET /a HTTP/1.1\rHost: x\r\n\r\n"),
        Form("bare CR in a value", "GET /a HTTP/1.1\r\nHost: x\r\nX: y\rContent-Length: 3\r\n\r\n"),
        Form("bare CR ends the headers", "GET /a HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n"),
        Form("NUL in a name", "GET /a HTTP/1.1\r\nHost: x\r\nX\0: y\r\n\r\n"),
        Form("NUL in a value", "GET /a HTTP/1.1\r\nHost: x\r\nX: y\0z\r\n\r\n"),
        Form("a header without a name", "GET /a HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"),
        Form("a header without a colon", "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length\r\n\r\n"),
        Form("a blank in a name", "GET /a HTTP/1.1\r\nHost: x\r\nContent Length: 3\r\n\r\nabc"),
        Form("two hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        Form("no host in HTTP/1.1", "GET /a HTTP/1.1\r\nX: y\r\n\r\n"),
    ]

    static let requestLines = [
        Form("HTTP/0.9", "GET /a\r\n\r\n"),
        Form("a tab for a blank", "GET\t/a\tHTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("a blank in the path", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("a version in the path", "GET /a HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("a line end in the path", "GET /a\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("NUL in the path", "GET /a\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("no path", "GET HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("a blank first", " GET /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("something behind the version", "GET /a HTTP/1.1x\r\nHost: x\r\n\r\n"),
        Form("a small http", "GET /a http/1.1\r\nHost: x\r\n\r\n"),
        Form("an unknown protocol", "GET /a ICE/1.0\r\nHost: x\r\n\r\n"),
        Form("an absolute form of another host", "GET http://y/a HTTP/1.1\r\nHost: x\r\n\r\n"),
        Form("CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]

    static let chunks = [
        chunked("a chunk size with a sign", "+3\r\nabc\r\n" + empty),
        chunked("a negative chunk size", "-3\r\nabc\r\n" + empty),
        chunked("a chunk size with 0x", "0x3\r\nabc\r\n" + empty),
        chunked("a chunk size with a blank first", " 3\r\nabc\r\n" + empty),
        chunked("a chunk size with an underscore", "1_0\r\nabc\r\n" + empty),
        chunked("a chunk size beyond 64 bits", "10000000000000003\r\nabc\r\n" + empty),
        chunked("an empty chunk size", "\r\nabc\r\n" + empty),
        chunked("a chunk size behind a bare LF", "3\nabc\r\n" + empty),
        chunked("a bare LF behind a chunk", "3\r\nabc\n" + empty),
        chunked("a chunk longer than its size", "3\r\nabcd\r\n" + empty),
        chunked("a chunk shorter than its size", "3\r\nab\r\n" + empty),
        chunked("a chunk extension with a bare LF", "3;a\nb\r\nabc\r\n" + empty),
        chunked("a chunk extension with a NUL", "3;a=\0\r\nabc\r\n" + empty),
        chunked("a bare LF behind the last chunk", "3\r\nabc\r\n0\n\r\n"),
        chunked("a trailer with a blank before its colon", "3\r\nabc\r\n0\r\nX : y\r\n\r\n"),
        chunked("a length in the trailer", "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"),
        chunked("an encoding in the trailer", "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ]

    static let all = bothLengths + lengths + encodings + lines + requestLines + chunks

    @Test("There are enough of them, each once")
    func corpus() {
        #expect(Self.all.count >= 60)
        #expect(Set(Self.all.map(\.name)).count == Self.all.count)
    }

    @Test("One answer, 400, closed, and nothing reaches the service", arguments: all)
    func refused(form: Form) throws {
        let seen = Mutex<[String]>([])
        let service = HTTPService(respond: { request, _, reply in
            seen.withLock { $0.append("\(request.method) \(request.target)") }
            reply(Response(status: 200))
        })
        let server = try ServerUnderTest(service: service)
        let connection = try server.connect()
        try connection.send(form.bytes + Self.hidden)
        connection.finishSending()
        let answers = RawResponse.parse(try connection.readToEnd())
        // What stands where the version should, but is none, is told so.
        #expect(answers.map(\.status) == [400] || answers.map(\.status) == [505])
        #expect(answers.first?.headers["connection"] == "close")
        #expect(seen.withLock { $0 } == [])
        #expect(eventually { server.server.bodyBytesInFlight == 0 })
    }

    @Test("An offer to go on in another protocol is not taken, and nothing behind it is read")
    func upgrade() throws {
        let connection = try ServerUnderTest().connect()
        try connection.send(
            "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n"
                + Self.hidden)
        let answers = RawResponse.parse(try connection.readToEnd())
        #expect(answers.map(\.body) == ["GET /a "])
        #expect(answers.first?.headers["connection"] == "close")
    }
}
