import Bytes
import Testing
import WireFormats

@Suite struct GRPCTests {
    private func framed(_ message: [UInt8], flag: UInt8 = 0, length: Int? = nil) -> [UInt8] {
        let length = UInt32(length ?? message.count)
        return [flag] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + message
    }

    private func read(
        _ pieces: [ArraySlice<UInt8>], limit: Int = 1_000, room: Int = .max
    ) -> Result<[UInt8], GRPCFramingError> {
        Result { () throws(GRPCFramingError) in
            var reader = GRPCMessageReader(limit: limit)
            for piece in pieces {
                let outcome = piece.withUnsafeBytes { bytes in
                    Result { () throws(GRPCFramingError) in try reader.append(bytes) { $0 <= room } }
                }
                try outcome.get()
            }
            return try reader.finish()
        }
    }

    @Test("A message is the same wherever its bytes are cut, and every shorter call is refused")
    func cuts() {
        let message = Array("a message".utf8)
        let whole = framed(message)
        for first in 0...whole.count {
            for second in first...whole.count {
                #expect(read([whole[..<first], whole[first..<second], whole[second...]]) == .success(message))
            }
            guard first < whole.count else { continue }
            #expect(read([whole[..<first]]) == .failure(first == 0 ? .missing : .truncated))
        }
        #expect(read(whole.indices.map { whole[$0...$0] }) == .success(message))
        #expect(read([framed([])[...]]) == .success([]))
    }

    @Test("Flags, lengths and surplus bytes that no unary call has")
    func refused() {
        for flag in UInt8(2)...255 { #expect(read([framed([1], flag: flag)[...]]) == .failure(.badFlag(flag))) }
        #expect(read([(framed([1]) + [0])[...]]) == .failure(.surplus))
        #expect(read([(framed([1]) + framed([2]))[...]]) == .failure(.surplus))
        #expect(read([framed([])[...], [9][...]]) == .failure(.surplus))
        #expect(read([framed([UInt8](repeating: 7, count: 1_001))[...]]) == .failure(.tooLarge(1_001)))
        #expect(read([framed([UInt8](repeating: 7, count: 1_000))[...]]) != .failure(.tooLarge(1_000)))
        #expect(read([framed([], length: 0xFFFF_FFFF)[...]]) == .failure(.tooLarge(0xFFFF_FFFF)))
        #expect(read([framed([1, 2])[...]], room: 1) == .failure(.refused))
    }

    @Test("A length is refused as soon as it is known, before any byte of the message")
    func early() {
        #expect(read([framed([], length: 1_001)[...]]) == .failure(.tooLarge(1_001)))
        #expect(read([framed([], length: 500)[...]], room: 499) == .failure(.refused))
    }

    @Test("The compressed flag is told")
    func compressed() throws {
        var reader = GRPCMessageReader(limit: 10)
        try framed([1], flag: 1).withUnsafeBytes { try reader.append($0) { _ in true } }
        #expect(reader.isCompressed)
        #expect(try reader.finish() == [1])
    }

    @Test(
        "grpc-message keeps printable ASCII and encodes the rest",
        arguments: [
            ("byte 20: a length", "byte 20: a length"), ("100% ☂\r\n", "100%25 %E2%98%82%0D%0A"), ("~\u{7F}", "~%7F"),
            ("", ""),
        ])
    func message(text: String, expected: String) {
        #expect(GRPCText.percentEncoded(text) == expected)
    }

    @Test("A long message is cut at a whole character")
    func longMessage() {
        let cut = GRPCText.percentEncoded("x" + String(repeating: "é", count: 2_000))
        #expect(cut == "x" + String(repeating: "%C3%A9", count: 511))
    }

    @Test("grpc-timeout", arguments: ["1H", "02M", "3S", "4m", "5u", "6n", "99999999H"])
    func timeout(text: String) {
        let expected: [String: Duration] = [
            "1H": .seconds(3_600), "02M": .seconds(120), "3S": .seconds(3), "4m": .milliseconds(4),
            "5u": .microseconds(5), "6n": .nanoseconds(6), "99999999H": .seconds(99_999_999 * 3_600),
        ]
        #expect(GRPCText.timeout(text) == expected[text])
    }

    @Test("No grpc-timeout", arguments: ["", "S", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", "1 S", "١S", "1SS"])
    func noTimeout(text: String) {
        #expect(GRPCText.timeout(text) == nil)
    }

    @Test("The details of a status are a google.rpc.Status with a RetryInfo")
    func details() throws {
        let text = GRPCText.details(.unavailable, message: "busy", retryAfter: 7)
        let bytes = try #require(Array(text.utf8).withUnsafeBytes { base64Decoded($0) })
        let name = Array("type.googleapis.com/google.rpc.RetryInfo".utf8)
        let any = [0x0A, UInt8(name.count)] + name + [0x12, 4, 0x0A, 2, 0x08, 7]
        #expect(bytes == [0x08, 14, 0x12, 4] + Array("busy".utf8) + [0x1A, UInt8(any.count)] + any)
    }

    @Test("A health request of any bytes is a name or an error")
    func health() throws {
        func service(_ bytes: [UInt8]) -> String? { bytes.withUnsafeBytes { try? GRPCHealth.service($0) } }
        #expect(service([]) == "")
        #expect(service([0x0A, 3, 97, 98, 99]) == "abc")
        #expect(service([0x10, 1, 0x0A, 1, 97]) == "a")
        #expect(service([0x0A, 3, 97]) == nil)
        #expect(service([0x08, 3]) == nil)
        #expect(service([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]) == nil)
        #expect(GRPCHealth.response(isServing: true) == [0x08, 1])
        #expect(GRPCHealth.response(isServing: false) == [0x08, 2])
    }
}
