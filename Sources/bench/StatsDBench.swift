internal import CLinux
internal import Glibc

/// How much a run of the StatsD measurements does.
struct StatsDSizes {
    /// Of each sending.
    var lines: Int
    /// Offered in the rounds that should lose nothing.
    var linesPerSecond: Int
    /// Of the smaller of the two memory measurements; the larger has ten times as many.
    var series: Int
    var seed: UInt64
}

/// The four measurements of the StatsD path, each a line of output.
func runStatsD(_ sizes: StatsDSizes) throws {
    let train = DatagramTrain.shop(lines: min(sizes.lines, 1_200_000), seed: sizes.seed)
    progress("\(train.lines) lines in \(train.datagrams) datagrams")
    try measureSaturation(train, sizes)
    try measureLoss(train, sizes)
    try measureSeries(sizes.series, scrapes: true)
    try measureSeries(sizes.series * 10, scrapes: false)
}

/// A crestd with only the listeners that are measured, on the last core; bench itself goes to the first.
private struct MeasuredDaemon {
    let process: ServerProcess
    private let folder: String

    init() throws {
        folder = try temporaryFolder()
        let arguments = [
            "--http", "127.0.0.1:0", "--otlp-http", "off", "--zipkin", "off", "--jaeger-http", "off",
            "--jaeger-udp", "off", "--statsd", "127.0.0.1:0",
            "--statsd-workers", "1", "--data-dir", folder,
        ]
        process = try onLastCore { try ServerProcess("crestd", arguments) }
    }

    var port: UInt16 { process.ports["statsd"] ?? 0 }

    func metrics() throws -> String {
        var connection = try HTTPConnection(port: process.ports["http"] ?? 0)
        defer { connection.close() }
        return String(decoding: try connection.exchange("GET", "/metrics").body, as: UTF8.self)
    }

    /// The metrics once every datagram that was sent is received or dropped; those of the deadline otherwise.
    func metrics(after datagrams: Int) throws -> String {
        let deadline = now() + 20
        while true {
            let text = try metrics()
            let known =
                metric("crest_datagrams_received_total", in: text)
                + metric("crest_datagrams_dropped_by_kernel_total", in: text)
            if Int(known) >= datagrams || now() > deadline { break }
            usleep(20_000)
        }
        // The lines of the last datagrams are counted with the next tick.
        usleep(600_000)
        return try metrics()
    }

    func stop() {
        _ = process.stop()
        removeFolder(folder)
    }
}

private func onLastCore(_ start: () throws -> ServerProcess) rethrows -> ServerProcess {
    let cores = Int32(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    _ = clinux_pin(0, cores - 1)
    defer { _ = clinux_pin(0, 0) }
    return try start()
}

/// CPU per line with a sender that never waits, and the same of a loop that only drains and splits.
private func measureSaturation(_ train: DatagramTrain, _ sizes: StatsDSizes) throws {
    let floor = try onLastCore { try ServerProcess("bench", ["drain"]) }
    let floorPort = floor.ports["udp"] ?? 0
    let floorSent = try train.send(lines: sizes.lines, linesPerSecond: 0, port: floorPort)
    let deadline = now() + 20
    while kernelQueue(port: floorPort).bytes > 0, now() < deadline { usleep(20_000) }
    let floorDropped = kernelQueue(port: floorPort).drops
    let perDatagram = Double(floorSent.lines) / Double(floorSent.datagrams)
    let floorLines = Double(floorSent.datagrams - floorDropped) * perDatagram
    let floorSeconds = floor.stop(signal: SIGKILL)

    let daemon = try MeasuredDaemon()
    // Series are made once, and this is not about making them.
    let first = try train.send(lines: train.lines, linesPerSecond: 200_000, port: daemon.port)
    let before = try daemon.metrics(after: first.datagrams)
    let cpuBefore = daemon.process.cpuSeconds
    let sent = try train.send(lines: sizes.lines, linesPerSecond: 0, port: daemon.port)
    // What is pending is closed within a second; the CPU of that belongs to the lines.
    usleep(1_500_000)
    let cpu = daemon.process.cpuSeconds - cpuBefore
    let after = try daemon.metrics(after: first.datagrams + sent.datagrams)
    func growth(_ name: String) -> Double { metric(name, in: after) - metric(name, in: before) }
    let applied = growth("crest_lines_applied_total")
    var report = Report("statsd_saturation")
    report.add("lines_sent", sent.lines)
    report.add("lines_applied", Int(applied))
    report.add("datagrams_dropped_by_kernel", Int(growth("crest_datagrams_dropped_by_kernel_total")))
    report.add("lines_sent_per_second", Double(sent.lines) / sent.seconds)
    report.add("cpu_s_per_million_lines", cpu / applied * 1e6)
    report.add("floor_drain_split_cpu_s_per_million_lines", floorSeconds / floorLines * 1e6)
    report.add("ratio_to_floor", cpu / applied / (floorSeconds / floorLines))
    report.add("rss_mb", Double(daemon.process.residentBytes) / 1e6)
    report.print()
    daemon.stop()
}

/// Five rounds at one rate; the best one is what the daemon can do, the others what the machine did besides.
private func measureLoss(_ train: DatagramTrain, _ sizes: StatsDSizes) throws {
    let daemon = try MeasuredDaemon()
    defer { daemon.stop() }
    let first = try train.send(lines: train.lines, linesPerSecond: 200_000, port: daemon.port)
    var datagrams = first.datagrams
    var text = try daemon.metrics(after: datagrams)
    var drops = metric("crest_datagrams_dropped_by_kernel_total", in: text)
    var (best, bestRate, clean) = (Double.infinity, 0.0, 0)
    for _ in 0..<5 {
        let sent = try train.send(lines: sizes.lines, linesPerSecond: sizes.linesPerSecond, port: daemon.port)
        datagrams += sent.datagrams
        text = try daemon.metrics(after: datagrams)
        let dropsNow = metric("crest_datagrams_dropped_by_kernel_total", in: text)
        let lost = dropsNow - drops
        drops = dropsNow
        if lost == 0 { clean += 1 }
        if lost < best { (best, bestRate) = (lost, Double(sent.lines) / sent.seconds) }
    }
    var report = Report("statsd_loss")
    report.add("lines_per_second", bestRate)
    report.add("best_of_five_datagrams_dropped", Int(best))
    report.add("rounds_without_loss", clean)
    report.add("receive_buffer_bytes", Int(metric("crest_receive_buffer_bytes", in: text)))
    report.print()
}

/// Resident memory with `count` counter series that are all active, and what a scrape of them costs when warm.
private func measureSeries(_ count: Int, scrapes: Bool) throws {
    let daemon = try MeasuredDaemon()
    defer { daemon.stop() }
    let train = DatagramTrain.counters(count)
    let idle = daemon.process.residentBytes
    var datagrams = 0
    for _ in 0..<3 {
        datagrams += try train.send(lines: count, linesPerSecond: 100_000, port: daemon.port).datagrams
        usleep(1_200_000)
    }
    let resident = daemon.process.residentBytes
    let text = try daemon.metrics(after: datagrams)
    var report = Report("statsd_series")
    report.add("series", text.split(separator: "\n").count { $0.hasPrefix("bench_requests_") })
    report.add("datagrams_dropped_by_kernel", Int(metric("crest_datagrams_dropped_by_kernel_total", in: text)))
    report.add("rss_mb", Double(resident) / 1e6)
    report.add("rss_mb_over_idle", Double(resident - idle) / 1e6)
    report.add("rss_mb_over_idle_per_100k_series", Double(resident - idle) / 1e6 * 100_000 / Double(count))
    report.add("rss_mb_after_scrape", Double(daemon.process.residentBytes) / 1e6)
    report.print()
    if scrapes { try measureScrape(daemon) }
}

private func measureScrape(_ daemon: MeasuredDaemon) throws {
    var connection = try HTTPConnection(port: daemon.process.ports["http"] ?? 0)
    defer { connection.close() }
    var report = Report("statsd_scrape")
    for (encoding, rounds) in [("identity", 20), ("gzip", 5)] {
        var body: [UInt8] = []
        func scrape() throws { body = try connection.exchange("GET", "/metrics", acceptEncoding: encoding).body }
        for _ in 0..<3 { try scrape() }
        let (cpuBefore, began) = (daemon.process.cpuSeconds, now())
        for _ in 0..<rounds { try scrape() }
        report.add("\(encoding)_bytes", body.count)
        report.add("\(encoding)_cpu_ms", (daemon.process.cpuSeconds - cpuBefore) / Double(rounds) * 1e3)
        report.add("\(encoding)_wall_ms", (now() - began) / Double(rounds) * 1e3)
    }
    report.print()
}

/// The sum of a family's samples in an exposition.
private func metric(_ name: String, in text: String) -> Double {
    text.split(separator: "\n").filter { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
        .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
}

/// What waits and what was dropped on the IPv4 UDP socket with this local port.
private func kernelQueue(port: UInt16) -> (bytes: Int, drops: Int) {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    for line in (readFile("/proc/net/udp") ?? "").split(separator: "\n") {
        let fields = line.split(separator: " ")
        guard fields.count > 12, fields[1].hasSuffix(suffix) else { continue }
        let waiting = fields[4].split(separator: ":").last.flatMap { Int($0, radix: 16) } ?? 0
        return (waiting, Int(fields[12]) ?? 0)
    }
    return (0, 0)
}

/// The floor: drains a socket with recvmmsg and finds every newline, colon and bar, nothing more.
func drainForever() throws {
    let socket = try LoopbackSocket(bound: SOCK_DGRAM)
    _ = clinux_set_receive_buffer(socket.descriptor, 16 << 20)
    guard let batch = clinux_batch_create(64, 65_536) else { throw CallFailure(call: "malloc") }
    print("drain ready udp=127.0.0.1:\(socket.port)")
    fflush(nil)
    var datagrams = [clinux_datagram](repeating: clinux_datagram(), count: 64)
    var drops: UInt32 = 0
    var found = 0
    while true {
        let count = clinux_receive(socket.descriptor, batch, &datagrams, &drops)
        guard count > 0, let bytes = clinux_batch_bytes(batch) else { continue }
        for datagram in datagrams[..<Int(count)] {
            var offset = Int(datagram.offset)
            let end = offset + Int(datagram.length)
            while offset + 16 <= end {
                let at = bytes + offset
                found &+= (clinux_match16(at, 10) | clinux_match16(at, 58) | clinux_match16(at, 124)).nonzeroBitCount
                offset += 16
            }
        }
        if found == .min { print(found) }  // keeps the work from being optimised away
    }
}
