internal import Glibc

/// Powers of ten that a double holds exactly.
private let exactPowers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22,
]

/// Longest decimal text that is read; more digits than this carry nothing a double could hold.
private let longestDecimal = 400

/// Reads unsigned decimal text in place: `1*DIGIT [ "." *DIGIT ] [ exp ]` or `"." 1*DIGIT [ exp ]`.
///
/// A value with at most 19 digits, a significand below 2^53 and a power of ten within 22 takes one exact operation
/// (Clinger's fast path); everything else is rounded correctly by the C library. Nothing is allocated.
struct DecimalText: ~Copyable {
    private let powers: UnsafeMutablePointer<Double>

    init() {
        powers = .allocate(capacity: exactPowers.count)
        powers.initialize(from: exactPowers, count: exactPowers.count)
    }

    deinit { powers.deallocate() }

    /// Reads from `start` and puts the value into `value`.
    /// - Returns: the offset after the last byte that belongs to the number, or -1 when no finite number starts there.
    @inline(__always)
    func read(_ bytes: UnsafePointer<UInt8>, from start: Int, to end: Int, into value: inout Double) -> Int {
        var offset = start
        var significand: UInt64 = 0
        while offset < end {
            let digit = bytes[offset] &- 0x30
            guard digit < 10 else { break }
            significand = significand &* 10 &+ UInt64(digit)
            offset &+= 1
        }
        let whole = offset &- start
        if offset < end, bytes[offset] == 0x2e {  // .
            offset &+= 1
            let fraction = offset
            while offset < end {
                let digit = bytes[offset] &- 0x30
                guard digit < 10 else { break }
                significand = significand &* 10 &+ UInt64(digit)
                offset &+= 1
            }
            let places = offset &- fraction
            guard whole &+ places > 0 else { return -1 }
            if whole &+ places <= 19, significand <= 1 << 53, places <= 22, !isExponent(bytes, offset, end) {
                value = Double(significand) / powers[places]
                return offset
            }
            return readSlowly(bytes, from: start, to: end, into: &value)
        }
        guard whole > 0 else { return -1 }
        if whole <= 19, significand <= 1 << 53, !isExponent(bytes, offset, end) {
            value = Double(significand)
            return offset
        }
        return readSlowly(bytes, from: start, to: end, into: &value)
    }

    @inline(__always)
    private func isExponent(_ bytes: UnsafePointer<UInt8>, _ offset: Int, _ end: Int) -> Bool {
        offset < end && bytes[offset] | 0x20 == 0x65  // e, E
    }

    /// Long digits and exponents, by `strtod` over a checked copy on the stack.
    @inline(never)
    private func readSlowly(
        _ bytes: UnsafePointer<UInt8>, from start: Int, to end: Int, into value: inout Double
    ) -> Int {
        var offset = start
        func skipDigits() -> Int {
            let from = offset
            while offset < end, bytes[offset] &- 0x30 < 10 { offset += 1 }
            return offset - from
        }
        var digits = skipDigits()
        if offset < end, bytes[offset] == 0x2e {
            offset += 1
            digits += skipDigits()
        }
        guard digits > 0 else { return -1 }
        if isExponent(bytes, offset, end) {
            offset += 1
            if offset < end, bytes[offset] == 0x2b || bytes[offset] == 0x2d { offset += 1 }
            guard skipDigits() > 0 else { return -1 }
        }
        let count = offset - start
        guard count < longestDecimal else { return -1 }
        let parsed = withUnsafeTemporaryAllocation(of: CChar.self, capacity: count + 1) { copy -> Double in
            guard let text = copy.baseAddress else { return .infinity }
            for index in 0..<count { text[index] = CChar(bitPattern: bytes[start + index]) }
            text[count] = 0
            return strtod(text, nil)
        }
        guard parsed.isFinite else { return -1 }
        value = parsed
        return offset
    }
}
