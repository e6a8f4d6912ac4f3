/// Numbers for people: whole ones in full, others with six significant digits.
enum NumberText {
    static func format(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), value.magnitude < 9e15 { return String(Int64(value)) }
        guard (1e-4..<1e15).contains(value.magnitude) else { return String(value) }
        var scale = 1.0
        while value.magnitude * scale < 1e5 { scale *= 10 }
        let text = String((value * scale).rounded() / scale)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// `1.5 KiB`, `300 MiB`.
    static func bytes(_ count: Int64) -> String {
        var value = Double(count)
        var unit = "B"
        for larger in ["KiB", "MiB", "GiB", "TiB"] where value >= 1_023.5 {
            value /= 1_024
            unit = larger
        }
        let text = value < 9.95 ? String((value * 10).rounded() / 10) : String(Int64(value.rounded()))
        return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text) + " " + unit
    }
}
