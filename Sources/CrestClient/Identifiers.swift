/// The 128-bit id that all spans of one trace share. All zero means "no trace".
public struct TraceID: Sendable, Hashable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// False for the all-zero id, which OTLP and W3C both forbid.
    public var isValid: Bool { high != 0 || low != 0 }

    /// 32 lower-case hexadecimal digits.
    public var description: String { hexadecimal(high) + hexadecimal(low) }
}

/// The 64-bit id of one span. Zero means "no span".
public struct SpanID: Sendable, Hashable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// False for zero, which OTLP and W3C both forbid.
    public var isValid: Bool { rawValue != 0 }

    /// 16 lower-case hexadecimal digits.
    public var description: String { hexadecimal(rawValue) }
}

/// Where new ids come from. Ids must be unique across processes; `random` is right for every real service, a
/// seeded source makes tests and workloads repeatable.
///
/// ```swift
/// let ids = IdentifierSource.random
/// let trace = ids.traceID()
/// ```
public struct IdentifierSource: Sendable {
    private let next: @Sendable () -> UInt64

    /// - Parameter next: 64 fresh random bits a call; called from any thread.
    public init(_ next: @escaping @Sendable () -> UInt64) { self.next = next }

    /// The system's generator.
    public static let random = IdentifierSource {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    public func traceID() -> TraceID { TraceID(high: next(), low: nonZero()) }

    public func spanID() -> SpanID { SpanID(nonZero()) }

    /// One retry is enough for any real source; a source stuck at zero still gives a valid id.
    private func nonZero() -> UInt64 {
        let bits = next()
        if bits != 0 { return bits }
        let again = next()
        return again != 0 ? again : 1
    }
}

/// 16 lower-case digits, leading zeros kept.
func hexadecimal(_ value: UInt64) -> String {
    String(unsafeUninitializedCapacity: 16) { digits in
        for index in 0..<16 {
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * index)) & 15
            digits[index] = nibble < 10 ? 48 + nibble : 87 + nibble
        }
        return 16
    }
}
