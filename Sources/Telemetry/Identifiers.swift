internal import Bytes

/// A 128-bit trace id. Ids received with 64 bits have a zero high half.
package struct TraceID: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package var isZero: Bool { high | low == 0 }

    package static func < (left: TraceID, right: TraceID) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// Reads 1 to 32 hexadecimal digits in either case, as if padded with zeros on the left. Nil for anything else.
    package init?(hex: some Collection<UInt8>) {
        guard (1...32).contains(hex.count) else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for digit in hex {
            guard let value = hexValue(digit) else { return nil }
            high = high << 4 | low >> 60
            low = low << 4 | UInt64(value)
        }
        self.init(high: high, low: low)
    }

    package init?(hex: String) { self.init(hex: Array(hex.utf8)) }

    /// 32 lower-case digits.
    package var hex32: String {
        var digits: [UInt8] = []
        appendHex(high, to: &digits)
        appendHex(low, to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }

    /// 16 digits when the high half is zero, else 32: the form of the Jaeger v1 and Zipkin APIs.
    package var hexShort: String { high == 0 ? SpanID(low).hex : hex32 }
}

/// A 64-bit span id; zero means "none" and is never a span's own id.
package struct SpanID: Hashable, Comparable, Sendable {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }
    package var isZero: Bool { value == 0 }
    package static func < (left: SpanID, right: SpanID) -> Bool { left.value < right.value }

    /// Reads 1 to 16 hexadecimal digits in either case. Nil for anything else.
    package init?(hex: some Collection<UInt8>) {
        guard (1...16).contains(hex.count), let id = TraceID(hex: hex) else { return nil }
        self.init(id.low)
    }

    package init?(hex: String) { self.init(hex: Array(hex.utf8)) }

    /// 16 lower-case digits.
    package var hex: String {
        var digits: [UInt8] = []
        appendHex(value, to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }
}
