/// Takes secrets out of texts that people will read: tokens and private keys in configuration errors and log lines.
package enum Redaction {
    /// The text with `crst_***` for every token and `***` for every PEM block of a key.
    package static func redacted(_ text: String) -> String {
        let hasToken = text.contains(AccessToken.prefix)
        let hasKey = text.contains(keyMark)
        guard hasToken || hasKey else { return text }
        var bytes = Array(text.utf8)
        if hasKey { bytes = withoutKeys(bytes) }
        if hasToken { bytes = withoutTokens(bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let keyMark = "PRIVATE KEY-----"

    private static func withoutTokens(_ bytes: [UInt8]) -> [UInt8] {
        let prefix = Array(AccessToken.prefix.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index...].starts(with: prefix) else {
                out.append(bytes[index])
                index += 1
                continue
            }
            out += prefix + Array("***".utf8)
            index += prefix.count
            while index < bytes.count, isTokenByte(bytes[index]) { index += 1 }
        }
        return out
    }

    /// Everything from the first mark of a key on: where the key ends does not matter in a message.
    private static func withoutKeys(_ bytes: [UInt8]) -> [UInt8] {
        let begin = Array("-----BEGIN".utf8)
        for index in bytes.indices where bytes[index...].starts(with: begin) {
            return bytes[..<index] + Array("***".utf8)
        }
        return Array("***".utf8)
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        (97...122).contains(byte) || (65...90).contains(byte) || (48...57).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
}
