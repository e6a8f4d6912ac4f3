internal import Glibc

/// One line of results: a JSON object with the machine's facts, in a fixed order.
struct Report {
    private var fields: [(String, String)]

    init(_ name: String) {
        fields = [("bench", "\"\(name)\"")]
    }

    mutating func add(_ key: String, _ value: Int) { fields.append((key, "\(value)")) }
    mutating func add(_ key: String, _ value: String) { fields.append((key, "\"\(value)\"")) }
    mutating func add(_ key: String, _ value: Bool) { fields.append((key, "\(value)")) }

    /// Rounded to four significant decimals.
    mutating func add(_ key: String, _ value: Double) { fields.append((key, Self.rounded(value))) }
    mutating func add(_ key: String, _ values: [Double]) {
        fields.append((key, "[" + values.map(Self.rounded).joined(separator: ", ") + "]"))
    }

    private static func rounded(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

    func print() {
        var all = fields
        all.append(("cores", "\(sysconf(Int32(_SC_NPROCESSORS_ONLN)))"))
        let load = (readFile("/proc/loadavg") ?? "").split(separator: " ").first ?? "0"
        all.append(("load_average", String(load)))
        Swift.print("{" + all.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}")
        fflush(nil)
    }
}

/// CPU seconds of this process so far.
func ownSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Monotonic seconds.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The value below which a share of the samples lies; zero for none.
func percentile(_ samples: [Double], _ share: Double) -> Double {
    guard !samples.isEmpty else { return 0 }
    let sorted = samples.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}

func progress(_ text: String) {
    let line = Array("bench: \(text)\n".utf8)
    _ = write(2, line, line.count)
}
