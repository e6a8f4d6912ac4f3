/// The W3C `traceparent` header: `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`.
///
/// ```swift
/// let parent = TraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
/// ```
/// - Source: W3C Trace Context, "traceparent Header Field Values".
public struct TraceParent: Sendable, Hashable, CustomStringConvertible {
    public var traceID: TraceID
    public var spanID: SpanID
    /// Bit 0: the caller records this trace.
    public var flags: UInt8

    public init(traceID: TraceID, spanID: SpanID, flags: UInt8) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
    }

    /// Reads a header. Upper-case digits, all-zero ids, version `ff` and a wrong length make it `nil`: the
    /// standard says to go on as if there had been none. A later version may carry more fields after the flags.
    public init?(_ header: String) {
        let text = Array(header.utf8)
        let dash = UInt8(ascii: "-")
        guard text.count >= 55, text[2] == dash, text[35] == dash, text[52] == dash,
            let version = hexadecimalValue(text[0..<2]), version != 0xFF,
            text.count == 55 || (version > 0 && text[55] == dash),
            let high = hexadecimalValue(text[3..<19]), let low = hexadecimalValue(text[19..<35]),
            let span = hexadecimalValue(text[36..<52]), let flags = hexadecimalValue(text[53..<55])
        else { return nil }
        self.init(
            traceID: TraceID(high: high, low: low), spanID: SpanID(span), flags: UInt8(truncatingIfNeeded: flags))
        guard traceID.isValid, spanID.isValid else { return nil }
    }

    /// The header as version 00. Flags beyond "sampled" and "random id" are not passed on.
    public var description: String {
        let low = hexadecimal(UInt64(flags & 0x03)).suffix(2)
        return "00-\(traceID)-\(spanID)-\(low)"
    }
}

/// Lower-case digits only; `nil` for anything else.
private func hexadecimalValue(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for digit in digits {
        switch digit {
        case 48...57: value = value << 4 | UInt64(digit - 48)
        case 97...102: value = value << 4 | UInt64(digit - 87)
        default: return nil
        }
    }
    return value
}
