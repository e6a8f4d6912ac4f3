internal import CLinux
internal import Glibc

/// A small linear generator: the same lines for the same seed on every machine.
private struct LineRandom {
    var state: UInt64

    mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}

/// Datagrams of tagged DogStatsD lines: 10,000 series (55 % counters, 35 % timers, 10 % gauges), about 74 bytes a
/// line and 18 lines to a datagram of at most 1,400 bytes; a few series are much hotter than the rest.
private func makeDatagrams(lines: Int, seed: UInt64) -> [[UInt8]] {
    let services = [
        "gateway", "seckill", "ratelimiter", "cache", "stock", "order", "mq", "payment", "notification", "user",
    ]
    let routes = [
        "checkout", "reserve", "orders", "payments", "notify", "product", "activity", "users", "check", "price",
    ]
    let codes = ["200", "201", "409", "429", "500", "502"]
    let counters = ["promo.http.requests", "promo.redis.commands", "promo.stock.reserved", "promo.cache.hits"]
    let timers = ["promo.http.latency", "promo.mysql.latency", "promo.redis.latency", "promo.mq.lag"]
    var random = LineRandom(state: seed)
    let series = (0..<10_000).map { number -> (name: String, kind: String, tags: String) in
        let tags =
            "|#service:\(services[number % 10]),pod:p\(number / 600),route:\(routes[number / 10 % 10])"
            + ",status:\(codes[number / 100 % 6])"
        switch number % 20 {
        case 0..<11: return (counters[number % 4], "c", tags)
        case 11..<18: return (timers[number % 4], "ms", tags)
        default: return ("promo.stock.remaining", "g", tags)
        }
    }
    var datagrams: [[UInt8]] = []
    var current: [UInt8] = []
    for _ in 0..<lines {
        // The product of two draws: low numbers are hot.
        let pick = series[random.next(below: 10_000) * random.next(below: 10_000) / 10_000]
        let value =
            switch pick.kind {
            case "ms": "\(random.next(below: 80)).\(100 + random.next(below: 900))"
            case "g": "\(random.next(below: 5_000))"
            default: "1"
            }
        let line = Array("\(pick.name):\(value)|\(pick.kind)\(pick.tags)".utf8)
        if current.count + line.count + 1 > 1_400 {
            datagrams.append(current)
            current = []
        }
        if !current.isEmpty { current.append(10) }
        current += line
    }
    datagrams.append(current)
    return datagrams
}

/// Sends `count` datagrams, the given ones over and over, at `rate` a second (0: as fast as possible).
private func send(_ datagrams: [[UInt8]], count: Int, rate: Int, port: UInt16) throws -> Double {
    let socket = try LoopbackSocket(connected: SOCK_DGRAM, port: port)
    defer { socket.close() }
    let started = now()
    for index in 0..<count {
        try? socket.send(datagrams[index % datagrams.count])
        if rate > 0, index % 64 == 63 {
            let ahead = Double(index + 1) / Double(rate) - (now() - started)
            if ahead > 0 { usleep(UInt32(ahead * 1e6)) }
        }
    }
    return now() - started
}

func runStatsD(lines: Int, rate: Int, seed: UInt64) throws {
    let distinct = min(lines, 1_200_000)
    let datagrams = makeDatagrams(lines: distinct, seed: seed)
    let perDatagram = Double(distinct) / Double(datagrams.count)
    let count = max(1, Int(Double(lines) / perDatagram))
    let sent = Int(Double(count) * perDatagram)
    progress("\(count) datagrams, \(sent) lines, \(Int(perDatagram)) lines a datagram")

    let floor = try ServerProcess("bench", ["drain"])
    _ = try send(datagrams, count: count, rate: rate, port: floor.ports["udp"] ?? 0)
    usleep(300_000)
    let floorSeconds = floor.stop(signal: SIGKILL)

    let folder = try temporaryFolder()
    let server = try ServerProcess(
        "crestd",
        [
            "--http", "127.0.0.1:0", "--otlp-http", "off", "--zipkin", "off", "--statsd", "127.0.0.1:0", "--data-dir",
            folder,
        ])
    let before = server.cpuSeconds
    let wall = try send(datagrams, count: count, rate: rate, port: server.ports["statsd"] ?? 0)
    usleep(1_500_000)
    var connection = try HTTPConnection(port: server.ports["http"] ?? 0)
    let cpu = server.cpuSeconds - before
    let scrape = try connection.exchange("GET", "/metrics").body
    connection.close()
    let resident = server.residentBytes
    _ = server.stop()
    removeFolder(folder)

    let text = String(decoding: scrape, as: UTF8.self)
    let applied = metric("crest_lines_applied_total", in: text)
    var report = Report("statsd")
    report.add("lines_sent", sent)
    report.add("lines_applied", Int(applied))
    report.add("datagrams_dropped_by_kernel", Int(metric("crest_datagrams_dropped_by_kernel_total", in: text)))
    report.add("lines_per_second", Double(sent) / wall)
    report.add("cpu_s_per_million_lines", cpu / applied * 1e6)
    report.add("floor_drain_split_cpu_s_per_million_lines", floorSeconds / Double(sent) * 1e6)
    report.add("ratio_to_floor", cpu / applied * Double(sent) / floorSeconds)
    report.add("rss_mb", Double(resident) / 1e6)
    report.print()
}

/// The sum of a family's samples in an exposition.
private func metric(_ name: String, in text: String) -> Double {
    text.split(separator: "\n").filter { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
        .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
}

/// The floor: drains a socket with recvmmsg and finds every newline, colon and bar, nothing more.
func drainForever() throws {
    let socket = try LoopbackSocket(bound: SOCK_DGRAM)
    _ = clinux_set_receive_buffer(socket.descriptor, 8 << 20)
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
