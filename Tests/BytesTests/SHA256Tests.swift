import Bytes
import Testing

@Suite("SHA-256")
struct SHA256Tests {
    private static func hex(_ message: [UInt8]) -> String {
        SHA256.digest(message).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(
        "The examples of FIPS 180 and of the NIST's short messages",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (
                "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
            ),
        ])
    func vectors(message: String, digest: String) { #expect(Self.hex(Array(message.utf8)) == digest) }

    @Test("A million times the letter a")
    func million() {
        let message = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(Self.hex(message) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test("Lengths around the ends of a block: a chain of digests over 0 to 200 bytes")
    func lengths() {
        var chain: [UInt8] = []
        for length in 0...200 { chain += SHA256.digest([UInt8](repeating: UInt8(length), count: length)) }
        #expect(Self.hex(chain) == "29b8bfb16048ea8637507378655acc7e2a9885f925dd36246a6018f158034601")
    }
}
