internal import CLinux
internal import Glibc
internal import Synchronization

/// Resident memory with `count` counter series that are all active, and what a scrape of them costs when warm.
func measureSeries(_ count: Int, scrapes: Bool) throws {
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

/// How long a datagram waits for the receiver, alone and while scrapes of `count` series go on without a pause: with
/// lines that it knows, and with lines of series that are new.
///
/// One datagram at a time: sent, then the socket's queue is looked at until it is empty. The look itself takes some tens
/// of microseconds, and is in all figures. The pause between two is so long that the receiver does not rest, as it does
/// for half a millisecond under steady traffic.
func measureDelay(_ count: Int) throws {
    let daemon = try MeasuredDaemon(pinned: false)
    defer { daemon.stop() }
    let train = DatagramTrain.counters(count)
    _ = try train.send(lines: count, linesPerSecond: 100_000, port: daemon.port)
    _ = try daemon.metrics()
    var placement = ThreadPlacement(of: daemon.process.pid, receiver: "udp-\(daemon.port)")
    defer { _ = clinux_pin(0, -1) }
    let (isOver, scrapes) = (Flag(), Counter())
    let port = daemon.process.ports["http"] ?? 0
    var report = Report("statsd_delay")
    report.add("series", count)
    for phase in ["alone", "scraped"] {
        if phase == "scraped" {
            try startThread {
                guard var connection = try? HTTPConnection(port: port) else { return }
                while !isOver.isSet, (try? connection.exchange("GET", "/metrics")) != nil { scrapes.add() }
                connection.close()
            }
        }
        placement.raiseCaller()
        let known = try delays(daemon.port, seconds: 5) { _ in "bench.requests.f0:1|c|#service:s0,pod:p0,id:0" }
        let new = try delays(daemon.port, seconds: 5) { "bench.requests.f1:1|c|#service:\(phase),id:n\($0)" }
        placement.lowerCaller()
        for (name, samples) in [("", known), ("new_", new)] {
            report.add("\(phase)_\(name)datagrams", samples.count)
            report.add("\(phase)_\(name)p50_us", percentile(samples, 0.5) * 1e6)
            report.add("\(phase)_\(name)p99_us", percentile(samples, 0.99) * 1e6)
            report.add("\(phase)_\(name)p999_us", percentile(samples, 0.999) * 1e6)
            report.add("\(phase)_\(name)most_us", (samples.max() ?? 0) * 1e6)
        }
    }
    isOver.set()
    report.add("scrapes", scrapes.value)
    report.add("real_time", placement.isRealTime ? "yes" : "no")
    report.print()
}

private func delays(_ port: UInt16, seconds: Double, _ line: (Int) -> String) throws -> [Double] {
    let socket = try LoopbackSocket(connected: SOCK_DGRAM, port: port)
    defer { socket.close() }
    var samples: [Double] = []
    let end = now() + seconds
    while now() < end {
        let bytes = Array(line(samples.count).utf8)
        let began = now()
        try socket.send(bytes)
        while kernelQueue(port: port).bytes > 0, now() < began + 1 {}
        samples.append(now() - began)
        usleep(2_500)
    }
    return samples
}

private final class Flag: Sendable {
    private let state = Atomic(false)
    var isSet: Bool { state.load(ordering: .relaxed) }
    func set() { state.store(true, ordering: .relaxed) }
}

private final class Counter: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add() { count.wrappingAdd(1, ordering: .relaxed) }
}
