import Bytes
import Testing

@Suite("SHA-256")
struct SHA256Tests {
    private func digest(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hex(hash.finish())
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test("FIPS 180-4 examples")
    func examples() {
        #expect(digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(digest(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
        #expect(digest(Array(long.utf8)) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        let million = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(digest(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test("In pieces of any length as in one")
    func pieces() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for length in 0...200 {
            let whole = digest(Array(bytes[..<length]))
            for cut in stride(from: 0, through: length, by: 7) {
                var hash = SHA256()
                hash.update(Array(bytes[..<cut]))
                hash.update([])
                hash.update(Array(bytes[cut..<length]))
                #expect(hex(hash.finish()) == whole, "\(length), cut at \(cut)")
            }
        }
    }

    @Test("HMAC: RFC 4231 cases 1, 2, 6")
    func hmac() {
        func code(_ key: [UInt8], _ text: String) -> String {
            Array(text.utf8).withUnsafeBytes { hex(HMACSHA256(key: key).code($0)) }
        }
        #expect(
            code([UInt8](repeating: 0x0b, count: 20), "Hi There")
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            code(Array("Jefe".utf8), "what do ya want for nothing?")
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            code([UInt8](repeating: 0xaa, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First")
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test("A tag is the beginning of a code; any changed bit is refused")
    func tags() {
        let hmac = HMACSHA256(key: [1, 2, 3])
        let message: [UInt8] = Array("message".utf8)
        message.withUnsafeBytes { message in
            let tag = Array(hmac.code(message).prefix(16))
            tag.withUnsafeBytes { #expect(hmac.isTag($0, of: message)) }
            for bit in 0..<128 {
                var flipped = tag
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                flipped.withUnsafeBytes { #expect(!hmac.isTag($0, of: message)) }
            }
        }
    }
}
