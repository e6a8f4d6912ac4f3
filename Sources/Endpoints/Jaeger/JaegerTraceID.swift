internal import Telemetry
internal import WireFormats

/// Trace ids as Jaeger's read API takes them.
enum JaegerTraceID {
    /// 1 to 32 hexadecimal digits, else base64 of 16 or 8 bytes; nil for anything else and for zero.
    static func read(_ text: String) -> TraceID? {
        let id = TraceID(hex: text) ?? base64(text)
        return id.flatMap { $0.isZero ? nil : $0 }
    }

    private static func base64(_ text: String) -> TraceID? {
        let decoded = Array(text.utf8).withUnsafeBytes { base64Decoded($0) }
        guard let bytes = decoded, bytes.count == 16 || bytes.count == 8 else { return nil }
        func word(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return TraceID(high: bytes.count == 16 ? word(bytes[..<8]) : 0, low: word(bytes.suffix(8)))
    }
}
