internal import Telemetry

/// The texts of gRPC's headers. Source: schemas/wire/otlp-grpc.md, "Headers".
package enum GRPCText {
    /// Bytes of a message for people before it is encoded; the rest is cut, since clients limit their headers.
    private static let messageBytes = 1_024

    /// `grpc-message`: UTF-8 with everything but printable ASCII percent-encoded, and `%` too.
    package static func percentEncoded(_ message: String) -> String {
        var encoded: [UInt8] = []
        encoded.reserveCapacity(message.utf8.count)
        for byte in cut(message) {
            if (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "%") {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), hexDigit(byte >> 4), hexDigit(byte & 15)]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// At most `messageBytes`, ending with a whole character.
    private static func cut(_ message: String) -> Substring.UTF8View {
        var rest = Substring(message)
        if rest.utf8.count > messageBytes {
            let end = rest.utf8.index(rest.startIndex, offsetBy: messageBytes)
            rest = rest[..<(rest.unicodeScalars.indices.last { $0 <= end } ?? rest.startIndex)]
        }
        return rest.utf8
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    /// `grpc-timeout`: one to eight digits and a unit of `H M S m u n`. Nil for anything else.
    package static func timeout(_ text: String) -> Duration? {
        let digits = text.utf8.dropLast()
        guard (1...8).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
            let count = Int64(String(decoding: digits, as: UTF8.self))
        else { return nil }
        switch text.utf8.last {
        case UInt8(ascii: "H"): return .seconds(count * 3_600)
        case UInt8(ascii: "M"): return .seconds(count * 60)
        case UInt8(ascii: "S"): return .seconds(count)
        case UInt8(ascii: "m"): return .milliseconds(count)
        case UInt8(ascii: "u"): return .microseconds(count)
        case UInt8(ascii: "n"): return .nanoseconds(count)
        default: return nil
        }
    }

    /// `grpc-status-details-bin`: a `google.rpc.Status` in base64 with a `google.rpc.RetryInfo`, which tells an
    /// exporter that it may send the same again, and when.
    package static func details(_ code: RPCCode, message: String, retryAfter seconds: Int) -> String {
        var status = ProtobufWriter()
        status.varint(1, UInt64(code.rawValue))
        if !message.isEmpty { status.string(2, message) }
        status.message(3) { any in
            any.string(1, "type.googleapis.com/google.rpc.RetryInfo")
            any.message(2) { retryInfo in
                retryInfo.message(1) { delay in
                    if seconds > 0 { delay.varint(1, UInt64(seconds)) }
                }
            }
        }
        return AttributeText.base64(status.bytes)
    }
}
