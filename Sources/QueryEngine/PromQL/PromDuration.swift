/// Durations as PromQL spells them: `1y2w3d4h5m6s7ms`, each unit at most once, in this order.
package enum PromDuration {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000),
        ("ms", 1),
    ]

    /// Nil for anything else, and beyond 292 years, which is what Go's durations hold.
    package static func milliseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        var firstUnit = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(name.count)
            guard let count = Int64(digits),
                let unit = units[firstUnit...].firstIndex(where: { $0.name == name })
            else { return nil }
            firstUnit = unit + 1
            let (scaled, overflow) = count.multipliedReportingOverflow(by: units[unit].milliseconds)
            let (sum, carry) = total.addingReportingOverflow(scaled)
            guard !overflow, !carry, sum <= Int64.max / 1_000_000 else { return nil }
            total = sum
        }
        return total
    }
}
