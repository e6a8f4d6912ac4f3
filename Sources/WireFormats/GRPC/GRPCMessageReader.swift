/// Collects the one message of a unary gRPC call from the pieces in which it arrives.
///
///     message = compressed flag (1 byte, 0 or 1), length (4 bytes, big-endian), `length` bytes
///
/// Bytes are taken as they come: an announced length is checked against the limit and offered to the caller's budget
/// before anything is kept, and never allocated in advance beyond a mebibyte.
/// Source: schemas/wire/otlp-grpc.md, "Message".
package struct GRPCMessageReader {
    private let limit: Int
    private var prefix: (bytes: UInt64, count: Int) = (0, 0)
    private var length = 0
    private var message: [UInt8] = []
    /// The flag of the message; meaningful when its prefix is complete.
    package private(set) var isCompressed = false

    /// - Parameter limit: bytes of the message as sent; more: ``GRPCFramingError/tooLarge(_:)``.
    package init(limit: Int) { self.limit = limit }

    private static let prefixBytes = 5

    /// Takes the next bytes of the call.
    /// - Parameter reserve: asked once, with the length of the message, as soon as it is known; false refuses it.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer, reserve: (Int) -> Bool
    ) throws(GRPCFramingError) {
        var offset = 0
        while prefix.count < Self.prefixBytes {
            guard offset < bytes.count else { return }
            prefix.bytes = prefix.bytes << 8 | UInt64(bytes[offset])
            prefix.count += 1
            offset += 1
            if prefix.count == Self.prefixBytes { try begin(reserve) }
        }
        let rest = bytes.count &- offset
        guard rest <= length &- message.count else { throw .surplus }
        if rest > 0 { message.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[offset...])) }
    }

    private mutating func begin(_ reserve: (Int) -> Bool) throws(GRPCFramingError) {
        let flag = UInt8(truncatingIfNeeded: prefix.bytes >> 32)
        guard flag <= 1 else { throw .badFlag(flag) }
        isCompressed = flag == 1
        length = Int(prefix.bytes & 0xFFFF_FFFF)
        guard length <= limit else { throw .tooLarge(length) }
        guard reserve(length) else { throw .refused }
        message.reserveCapacity(min(length, 1 << 20))
    }

    /// The message, at the end of the call; the reader is empty afterwards.
    package mutating func finish() throws(GRPCFramingError) -> [UInt8] {
        guard prefix.count == Self.prefixBytes else { throw prefix.count == 0 ? .missing : .truncated }
        guard message.count == length else { throw .truncated }
        let whole = message
        message = []
        return whole
    }
}

/// What is wrong with the framing of a unary call.
package enum GRPCFramingError: Error, Hashable, CustomStringConvertible {
    /// The call ended without a message.
    case missing
    /// The call ended inside its message.
    case truncated
    /// Bytes after the message: a second one, or garbage.
    case surplus
    case badFlag(UInt8)
    /// The announced length is over the limit.
    case tooLarge(Int)
    /// The caller had no room for it.
    case refused

    package var description: String {
        switch self {
        case .missing: "the call has no message"
        case .truncated: "the call ends inside its message"
        case .surplus: "bytes after the one message of a unary call"
        case .badFlag(let flag): "the compressed flag of the message is \(flag), not 0 or 1"
        case .tooLarge(let length): "the message has \(length) bytes"
        case .refused: "no room for the message"
        }
    }
}
