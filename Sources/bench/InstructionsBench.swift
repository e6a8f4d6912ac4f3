internal import Glibc

/// Instructions and allocations of crestd in user space for each line of the StatsD path, by callgrind: the difference of
/// two runs of the same length that send at different rates, so that what a second costs falls out.
func runInstructions(lines: Int, seed: UInt64) throws {
    let train = DatagramTrain.shop(lines: 100_000, seed: seed, series: 100)
    progress("two runs under callgrind, of \(lines / 3) and \(lines) lines")
    let short = try profile(train, lines: lines / 3)
    let long = try profile(train, lines: lines)
    let applied = long.applied - short.applied
    guard applied > 0 else { throw CallFailure(call: "the longer run applied no more lines") }
    var report = Report("statsd_instructions")
    report.add("lines", Int(applied))
    report.add("instructions_per_line", (long.counts.instructions - short.counts.instructions) / applied)
    report.add("allocations_per_line", (long.counts.allocations - short.counts.allocations) / applied)
    report.print()
}

private func profile(_ train: DatagramTrain, lines: Int) throws -> (counts: CallgrindCounts, applied: Double) {
    let folder = try temporaryFolder()
    defer { removeFolder(folder) }
    let output = folder + "/callgrind.out"
    // valgrind gives up on Swift's debugging information.
    let stripped = folder + "/crestd"
    try ServerProcess.run("/usr/bin/env", ["strip", "--strip-debug", "-o", stripped, siblingPath("crestd")])
    let daemon = try ServerProcess(
        path: "/usr/bin/env",
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=\(output)", "-q", stripped, "--statsd-workers", "1"]
            + daemonFlags(["http", "statsd"], folder: folder + "/data"))
    let port = daemon.ports["statsd"] ?? 0
    var connection = try HTTPConnection(port: daemon.ports["http"] ?? 0)
    let sent = try train.send(lines: lines, linesPerSecond: max(lines / 10, 1), port: port)
    var applied = 0.0
    let deadline = now() + 60
    repeat {
        usleep(500_000)
        let text = String(decoding: try connection.exchange("GET", "/metrics").body, as: UTF8.self)
        applied = metric("crest_lines_applied_total", in: text)
    } while Int(applied) < sent.lines && now() < deadline
    connection.close()
    _ = daemon.stop()
    guard let text = readFile(output) else { throw CallFailure(call: "read \(output) (is valgrind installed?)") }
    return (CallgrindCounts(text), applied)
}

/// What a file of callgrind says of a whole run.
struct CallgrindCounts {
    /// User space only.
    var instructions = 0.0
    /// Calls of the C library's functions that allocate.
    var allocations = 0.0

    private static let allocating: Set<Substring> = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"]

    /// Names are written out once, as "(id) name", and are "(id)" from then on.
    init(_ text: String) {
        var counted: Set<Substring> = []
        var callee: Substring = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
                let value = line[(line.firstIndex(of: "=") ?? line.startIndex)...].dropFirst()
                let id = value.prefix { $0 != " " }
                let name = value.dropFirst(id.count + 1).prefix { $0 != "'" && $0 != "@" }
                if Self.allocating.contains(name) { counted.insert(id) }
                if line.hasPrefix("cfn=") { callee = id }
            } else if line.hasPrefix("calls="), counted.contains(callee) {
                allocations += Double(line.dropFirst(6).prefix { $0 != " " }) ?? 0
            } else if line.hasPrefix("totals: ") {
                instructions += Double(line.dropFirst(8)) ?? 0
            }
        }
    }
}
