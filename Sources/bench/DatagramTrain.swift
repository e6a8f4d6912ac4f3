internal import CLinux
internal import Glibc

/// Datagrams of whole lines, at most 1,400 bytes each, one behind the other in memory.
struct DatagramTrain {
    private var bytes: [UInt8] = []
    /// Where each datagram ends, and the lines that it and those before it have.
    private var ends: [Int] = []
    private var linesUpTo: [Int] = []
    private var isOpen = false
    private(set) var lines = 0

    var datagrams: Int { ends.count }

    mutating func append(_ line: String) {
        let start = ends.last ?? 0
        let line = Array(line.utf8)
        if isOpen, bytes.count - start + line.count + 1 > 1_400 { close() }
        if isOpen { bytes.append(10) }
        bytes += line
        lines += 1
        isOpen = true
    }

    mutating func close() {
        guard isOpen else { return }
        ends.append(bytes.count)
        linesUpTo.append(lines)
        isOpen = false
    }

    /// What a sending came to.
    struct Sending {
        var lines = 0
        var datagrams = 0
        var seconds = 0.0
    }

    /// Sends the train over and over until at least `wanted` lines are out, with sendmmsg.
    /// - Parameter linesPerSecond: 0 sends as fast as possible.
    func send(lines wanted: Int, linesPerSecond: Int, port: UInt16) throws -> Sending {
        let socket = try LoopbackSocket(connected: SOCK_DGRAM, port: port)
        defer { socket.close() }
        var sending = Sending()
        var next = 0
        let started = now()
        while sending.lines < wanted, datagrams > 0 {
            // Paced sending has small batches: a burst is what fills a buffer.
            let last = min(next + (linesPerSecond > 0 ? 16 : 64), datagrams)
            try sendBatch(next..<last, socket)
            sending.datagrams += last - next
            sending.lines += linesUpTo[last - 1] - (next > 0 ? linesUpTo[next - 1] : 0)
            next = last == datagrams ? 0 : last
            if linesPerSecond > 0 { wait(until: started + Double(sending.lines) / Double(linesPerSecond)) }
        }
        sending.seconds = now() - started
        return sending
    }

    private func sendBatch(_ range: Range<Int>, _ socket: LoopbackSocket) throws {
        let start = range.lowerBound > 0 ? ends[range.lowerBound - 1] : 0
        let relative = ends[range].map { UInt32($0 - start) }
        let sent = bytes.withUnsafeBufferPointer { bytes -> Int32 in
            guard let base = bytes.baseAddress else { return 0 }
            return clinux_send_many(socket.descriptor, base + start, relative, UInt32(relative.count))
        }
        guard sent == relative.count else { throw CallFailure(call: "sendmmsg (\(sent))") }
    }

    private func wait(until time: Double) {
        let ahead = time - now()
        if ahead > 200e-6 { usleep(UInt32(ahead * 1e6)) }
    }
}

/// A small linear generator: the same lines for the same seed on every machine.
private struct LineRandom {
    var state: UInt64

    mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}

extension DatagramTrain {
    /// Tagged DogStatsD lines: so many series (55 % counters, 35 % timers, 10 % gauges), about 74 bytes a line and 18
    /// lines a datagram; a few series are much hotter than the rest.
    static func shop(lines: Int, seed: UInt64, series count: Int = 10_000) -> DatagramTrain {
        var random = LineRandom(state: seed)
        let series = (0..<count).map(shopSeries)
        var train = DatagramTrain()
        for _ in 0..<lines {
            // The product of two draws: low numbers are hot.
            let pick = series[random.next(below: count) * random.next(below: count) / count]
            let value =
                switch pick.kind {
                case "ms": "\(random.next(below: 80)).\(100 + random.next(below: 900))"
                case "g": "\(random.next(below: 5_000))"
                default: "1"
                }
            train.append("\(pick.name):\(value)|\(pick.kind)\(pick.tags)")
        }
        train.close()
        return train
    }

    /// One line for each of `count` counter series of ten families.
    static func counters(_ count: Int) -> DatagramTrain {
        var train = DatagramTrain()
        for number in 0..<count {
            train.append(
                "bench.requests.f\(number % 10):1|c|#service:s\(number % 97),pod:p\(number / 600),id:\(number)")
        }
        train.close()
        return train
    }

    private static func shopSeries(_ number: Int) -> (name: String, kind: String, tags: String) {
        let services = [
            "gateway", "seckill", "ratelimiter", "cache", "stock", "order", "mq", "payment", "notification", "user",
        ]
        let routes = [
            "checkout", "reserve", "orders", "payments", "notify", "product", "activity", "users", "check", "price",
        ]
        let codes = ["200", "201", "409", "429", "500", "502"]
        let counters = ["promo.http.requests", "promo.redis.commands", "promo.stock.reserved", "promo.cache.hits"]
        let timers = ["promo.http.latency", "promo.mysql.latency", "promo.redis.latency", "promo.mq.lag"]
        let tags =
            "|#service:\(services[number % 10]),pod:p\(number / 600),route:\(routes[number / 10 % 10])"
            + ",status:\(codes[number / 100 % 6])"
        switch number % 20 {
        case 0..<11: return (counters[number % 4], "c", tags)
        case 11..<18: return (timers[number % 4], "ms", tags)
        default: return ("promo.stock.remaining", "g", tags)
        }
    }
}
