/// Durations as people write them (`1.23ms`, `45.6us`, `1m05s`) and as Go's `time.ParseDuration` reads them.
enum DurationText {
    private static let units: [(suffix: String, nanoseconds: Double)] = [("us", 1e3), ("ms", 1e6), ("s", 1e9)]

    /// Three significant digits below a minute, then minutes and seconds, hours and minutes, days and hours.
    static func format(nanoseconds: Int64) -> String {
        if nanoseconds < 0 {
            return "-" + format(nanoseconds: nanoseconds == .min ? .max : -nanoseconds)
        }
        if nanoseconds < 1_000 { return nanoseconds == 0 ? "0" : "\(nanoseconds)ns" }
        for unit in units {
            let value = Double(nanoseconds) / unit.nanoseconds
            // 999.5us would round to 1000us, 59.96s to 60s: those belong to the next unit.
            if value < (unit.suffix == "s" ? 59.95 : 999.5) { return threeDigits(value) + unit.suffix }
        }
        let seconds = nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 >= 500_000_000 ? 1 : 0)
        if seconds < 3_600 { return pair(seconds, "m", 60, "s") }
        if seconds < 86_400 { return pair(seconds / 60, "h", 60, "m") }
        return pair(seconds / 3_600, "d", 24, "h")
    }

    private static func threeDigits(_ value: Double) -> String {
        let decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
        let scale = decimals == 2 ? 100.0 : decimals == 1 ? 10.0 : 1.0
        let scaled = Int64((value * scale).rounded())
        let divisor = Int64(scale)
        var text = "\(scaled / divisor)"
        guard decimals > 0, scaled % divisor != 0 else { return text }
        let fraction = "\(scaled % divisor)"
        text += "." + String(repeating: "0", count: max(0, decimals - fraction.count)) + fraction
        while text.hasSuffix("0") { text.removeLast() }
        return text
    }

    private static func pair(_ small: Int64, _ major: String, _ ratio: Int64, _ minor: String) -> String {
        let rest = small % ratio
        return "\(small / ratio)\(major)" + (rest < 10 ? "0" : "") + "\(rest)\(minor)"
    }

    /// Reads `1h30m`, `1.5s`, `250ms`, `7d`; nil when it is none, negative, or beyond 292 years.
    static func parse(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let scale = nanoseconds(in: unit) else { return nil }
            total += value * scale
        }
        return total < 9.2e18 ? Int64(total.rounded()) : nil
    }

    private static func nanoseconds(in unit: Substring) -> Double? {
        switch unit {
        case "ns": return 1
        case "us", "µs", "μs": return 1e3
        case "ms": return 1e6
        case "s": return 1e9
        case "m": return 60e9
        case "h": return 3_600e9
        case "d": return 86_400e9
        default: return nil
        }
    }
}
