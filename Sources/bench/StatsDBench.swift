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

/// The measurements of the StatsD path, each a line of output.
func runStatsD(_ sizes: StatsDSizes) throws {
    let train = DatagramTrain.shop(lines: min(sizes.lines, 1_200_000), seed: sizes.seed)
    progress("\(train.lines) lines in \(train.datagrams) datagrams")
    try measureSaturation(train, sizes)
    try measureLoss(train, sizes)
    try measureSeries(sizes.series, scrapes: true)
    try measureDelay(sizes.series)
    try measureSeries(sizes.series * 10, scrapes: false)
}

/// CPU per line with a sender that never waits, and the same of a loop that only drains and splits.
private func measureSaturation(_ train: DatagramTrain, _ sizes: StatsDSizes) throws {
    let floor = try onCore(lastCore) { try ServerProcess("bench", ["drain"]) }
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

/// The floor: drains a socket with recvmmsg and finds every newline, colon and bar, nothing more.
func drainForever() throws {
    let socket = try LoopbackSocket(bound: SOCK_DGRAM)
    _ = clinux_set_receive_buffer(socket.descriptor, 16 << 20)
    _ = clinux_enable_gro(socket.descriptor)  // as the daemon does
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
