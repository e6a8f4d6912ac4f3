/// A duration as Go prints it: `1h2m0.5s`, `35ms`, `408.5µs`, `-12ns`, `0s`.
package func goDuration(nanoseconds: Int64) -> String {
    let magnitude = nanoseconds.magnitude
    let sign = nanoseconds < 0 ? "-" : ""
    switch magnitude {
    case 0: return "0s"
    case ..<1_000: return "\(sign)\(magnitude)ns"
    case ..<1_000_000: return sign + decimal(magnitude, places: 3) + "\u{b5}s"
    case ..<1_000_000_000: return sign + decimal(magnitude, places: 6) + "ms"
    default: break
    }
    let minute: UInt64 = 60_000_000_000
    let minutes = magnitude / minute
    let seconds = decimal(magnitude % minute, places: 9) + "s"
    if minutes == 0 { return sign + seconds }
    let hours = minutes / 60
    return sign + (hours > 0 ? "\(hours)h" : "") + "\(minutes % 60)m" + seconds
}

/// `value / 10^places` without zeros at the end.
private func decimal(_ value: UInt64, places: Int) -> String {
    var (whole, rest, width) = (value, UInt64(0), places)
    var scale: UInt64 = 1
    for _ in 0..<places { scale *= 10 }
    (whole, rest) = value.quotientAndRemainder(dividingBy: scale)
    guard rest > 0 else { return String(whole) }
    while rest % 10 == 0 {
        rest /= 10
        width -= 1
    }
    let digits = String(rest)
    return "\(whole)." + String(repeating: "0", count: max(0, width - digits.count)) + digits
}
