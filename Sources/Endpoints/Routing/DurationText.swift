/// Durations as Go writes them: `1.5s`, `1h30m`, `250ms`, `100us`, `100µs`, `20ns`; a bare `0` too.
enum DurationText {
    /// Nanoseconds; nil for anything else, negative durations and overflow.
    static func nanoseconds(_ text: String) -> UInt64? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        var total: UInt64 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(whole.count)
            var fraction: Substring = ""
            if rest.first == "." {
                fraction = rest.dropFirst().prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(1 + fraction.count)
            }
            guard !whole.isEmpty || !fraction.isEmpty else { return nil }
            let name = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest.dropFirst(name.count)
            guard let unit = units[String(name)], let value = scaled(whole, fraction, unit) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(value)
            guard !overflow else { return nil }
            total = sum
        }
        return total
    }

    private static let units: [String: UInt64] = [
        "ns": 1, "us": 1_000, "\u{b5}s": 1_000, "\u{3bc}s": 1_000, "ms": 1_000_000, "s": 1_000_000_000,
        "m": 60_000_000_000, "h": 3_600_000_000_000,
    ]

    private static func scaled(_ whole: Substring, _ fraction: Substring, _ unit: UInt64) -> UInt64? {
        guard let units = whole.isEmpty ? 0 : UInt64(whole) else { return nil }
        let (value, overflow) = units.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        var rest: UInt64 = 0
        var place = unit
        for digit in fraction {
            place /= 10
            rest += UInt64(digit.wholeNumberValue ?? 0) * place
        }
        let (sum, tooMuch) = value.addingReportingOverflow(rest)
        return tooMuch ? nil : sum
    }
}
