import Listeners
import Testing

/// Chunked bodies that are mostly no data.
@Suite struct ChunkOverheadTests {
    private static let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    /// Sends what `chunks` is, without an end: 256 KiB of it, which is more than enough and less than a slow server takes
    /// seconds for, after which it would no longer read on for its answer to arrive.
    private func statuses(head: String = head, _ chunks: String) throws -> [Int] {
        let server = try ServerUnderTest()
        let connection = try server.connect()
        try connection.send(head)
        let piece = Array(String(repeating: chunks, count: max(1, 8_192 / chunks.utf8.count)).utf8)
        do {
            for _ in 0..<(256 << 10) / piece.count { try connection.send(piece) }
        } catch is SocketFailure {}
        connection.finishSending()
        let answers = RawResponse.parse(try connection.readToEnd())
        #expect(eventually { server.server.openConnections == 0 && server.server.bodyBytesInFlight == 0 })
        return answers.map(\.status)
    }

    @Test("An extension without end, or one behind each byte, gets 400 and is closed")
    func extensions() throws {
        let text = String(repeating: "a", count: 300)
        #expect(try statuses(head: Self.head + "1;", text) == [400])
        #expect(try statuses("1;\(text)\r\nx\r\n") == [400])
        #expect(try statuses("1;x=\"\(text)\"\r\nx\r\n") == [400])
        // A trailer is a header that is too long or no data, whichever is seen first.
        let trailer = try statuses(head: Self.head + "1\r\nx\r\n0\r\na: ", text)
        #expect(trailer == [431] || trailer == [400], "\(trailer)")
    }

    @Test(
        "Small chunks and short extensions are taken",
        arguments: ["1\r\nx\r\n", "1;a=b\r\nx\r\n", "40;ieof;s=\(sixty)\r\n\(sixty)3210\r\n"])
    func taken(chunk: String) throws {
        let server = try ServerUnderTest()
        let connection = try server.connect()
        let count = 20_000
        try connection.send(Self.head + String(repeating: chunk, count: count) + "0\r\n\r\n")
        let answer = try connection.readResponse()
        #expect(answer.status == 200)
        #expect(answer.body.utf8.count == "POST / ".utf8.count + count * (chunk.hasPrefix("4") ? 64 : 1))
        // The next request counts anew.
        try connection.send(Self.head + "1;\(sixty)\r\nx\r\n0\r\n\r\n")
        #expect(try connection.readResponse().body == "POST / x")
    }
}

private let sixty = String(repeating: "0123456789", count: 6)
