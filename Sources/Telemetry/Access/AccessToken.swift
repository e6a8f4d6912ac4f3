internal import Bytes

/// A bearer token as text: `crst_` and 32 random bytes in base64url without padding. Never stored, only its digest.
package enum AccessToken {
    package static let prefix = "crst_"
    package static let randomBytes = 32
    /// Longer texts are no tokens and are not hashed.
    package static let longestBytes = 256

    /// The token of 32 random bytes.
    package static func text(_ random: [UInt8]) -> String { prefix + base64URL(random) }

    /// Four words of the SHA-256 of the token's text.
    package static func digest(of token: some StringProtocol) -> TokenDigest {
        TokenDigest(bytes: SHA256.digest(Array(token.utf8)))
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for _ in 0...group.count {
                text.append(alphabet[Int(bits >> 18 & 63)])
                bits <<= 6
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The SHA-256 of a token. Not `Equatable`: digests are compared by ``difference(_:)``, in constant time.
package struct TokenDigest: Sendable {
    private let words: SIMD4<UInt64>

    /// - Parameter bytes: the digest; what is missing counts as zero.
    package init(bytes: [UInt8]) {
        var words = SIMD4<UInt64>()
        for (index, byte) in bytes.prefix(SHA256.digestBytes).enumerated() {
            words[index / 8] = words[index / 8] << 8 | UInt64(byte)
        }
        self.words = words
    }

    /// 64 hexadecimal digits in lower case; nil for anything else.
    package init?(hex: some StringProtocol) {
        let digits = Array(hex.utf8)
        guard digits.count == SHA256.digestBytes * 2 else { return nil }
        var words = SIMD4<UInt64>()
        for (index, digit) in digits.enumerated() {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.words = words
    }

    package var hex: String {
        (0..<4).map { index in
            let text = String(words[index], radix: 16)
            return String(repeating: "0", count: 16 - text.utf8.count) + text
        }.joined()
    }

    /// Zero when both are the same. Takes the same time wherever they differ.
    package func difference(_ other: TokenDigest) -> UInt64 {
        let bits = words ^ other.words
        return bits[0] | bits[1] | bits[2] | bits[3]
    }
}
