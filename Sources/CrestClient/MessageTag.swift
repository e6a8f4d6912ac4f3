internal import Crypto

/// Authenticates messages under a key: HMAC-SHA256, of which the first 16 bytes are sent.
///
/// Source: RFC 2104, FIPS 180-4; schemas/wire/crest-datagram.md, "tag".
package struct MessageTag: Sendable {
    package static let bytes = 16

    private let key: SymmetricKey

    package init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    /// The whole code of a message, 32 bytes.
    package func code(_ message: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
    }

    package func tag(_ message: [UInt8]) -> ArraySlice<UInt8> { code(message).prefix(Self.bytes) }
}
