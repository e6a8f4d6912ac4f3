internal import Glibc

/// Points in time as RFC 3339 text; the calendar is the proleptic Gregorian one, without leap seconds.
enum TimestampText {
    /// `2026-11-25T18:00:00.123Z`, or with the offset of this machine's zone (`+01:00`) when `local`.
    static func format(unixNanoseconds: Int64, local: Bool = false) -> String {
        let second = floorDivide(unixNanoseconds, 1_000_000_000)
        let rest = unixNanoseconds % 1_000_000_000
        let millisecond = (rest < 0 ? rest + 1_000_000_000 : rest) / 1_000_000
        let offset = local ? zoneOffsetSeconds(at: second) : 0
        let shifted = second + offset
        let day = floorDivide(shifted, 86_400)
        let secondOfDay = shifted - day * 86_400
        let date = civil(daysSinceEpoch: day)
        let clock =
            two(secondOfDay / 3_600) + ":" + two(secondOfDay / 60 % 60) + ":" + two(secondOfDay % 60) + "."
            + padded(millisecond, digits: 3)
        return padded(date.year, digits: 4) + "-" + two(date.month) + "-" + two(date.day) + "T" + clock
            + (local ? zoneText(offset) : "Z")
    }

    /// Whether a server can read this as a time: RFC 3339, or Unix time as 1 to 19 digits.
    static func isTime(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        if (1...19).contains(bytes.count), bytes.allSatisfy(isDigit) { return true }
        // The shape decides: dddd-dd-ddTdd:dd:dd[.d+](Z|+dd:dd|-dd:dd).
        let pattern = Array("dddd-dd-ddTdd:dd:dd".utf8)
        guard bytes.count > pattern.count else { return false }
        for (byte, wanted) in zip(bytes, pattern) where !matches(byte, wanted) { return false }
        var rest = bytes[pattern.count...]
        if rest.first == UInt8(ascii: ".") {
            let digits = rest.dropFirst().prefix(while: isDigit)
            guard !digits.isEmpty else { return false }
            rest = rest.dropFirst(1 + digits.count)
        }
        if rest.count == 1 { return rest.first == UInt8(ascii: "Z") || rest.first == UInt8(ascii: "z") }
        guard rest.count == 6, rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") else { return false }
        return zip(rest.dropFirst(), Array("dd:dd".utf8)).allSatisfy { matches($0, $1) }
    }

    /// The wall clock.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    private static func matches(_ byte: UInt8, _ wanted: UInt8) -> Bool {
        switch wanted {
        case UInt8(ascii: "d"): return isDigit(byte)
        case UInt8(ascii: "T"): return byte == wanted || byte == UInt8(ascii: "t")
        default: return byte == wanted
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func zoneOffsetSeconds(at unixSecond: Int64) -> Int64 {
        var second = time_t(unixSecond)
        var fields = tm()
        guard localtime_r(&second, &fields) != nil else { return 0 }
        return Int64(fields.tm_gmtoff)
    }

    private static func zoneText(_ offsetSeconds: Int64) -> String {
        let minutes = abs(offsetSeconds) / 60
        return (offsetSeconds < 0 ? "-" : "+") + two(minutes / 60) + ":" + two(minutes % 60)
    }

    /// Counts in years that begin on 1 March, so that the leap day is the last day of a year, and in eras of 400
    /// years, which all have 146,097 days.
    private static func civil(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : (value + 1) / divisor - 1
    }

    private static func two(_ value: Int64) -> String { padded(value, digits: 2) }

    private static func padded(_ value: Int64, digits: Int) -> String {
        let text = "\(value)"
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
