import CrestClient
import Glibc
import Metrics
import Testing

@Suite struct DatagramPackerTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("Lines share a datagram as long as they fit, to the byte")
    func exactFit() {
        var packer = DatagramPacker(maximumBytes: 11)
        let first = packer.append(Array("aaaaa".utf8))
        let second = packer.append(Array("bbbbb".utf8))
        #expect(first == .kept && second == .kept)
        let third = packer.append(Array("c".utf8))
        guard case .full(let datagram) = third else {
            Issue.record("\(third)")
            return
        }
        #expect(text(datagram.bytes) == "aaaaa\nbbbbb")
        #expect(datagram.lineCount == 2)
        let rest = packer.take()
        #expect(rest.map { text($0.bytes) } == "c")
        let nothing = packer.take()
        #expect(nothing == nil)
    }

    @Test("A line longer than a datagram is refused and spoils nothing")
    func tooLong() {
        var packer = DatagramPacker(maximumBytes: 4)
        _ = packer.append(Array("ab".utf8))
        let refused = packer.append(Array("12345".utf8))
        #expect(refused == .tooLong)
        let rest = packer.take()
        #expect(rest.map { text($0.bytes) } == "ab")
    }

    @Test("For every size nothing is lost, split or over the limit")
    func model() {
        for limit in 1...40 {
            var packer = DatagramPacker(maximumBytes: limit)
            var datagrams: [DatagramPacker.Datagram] = []
            var expected: [String] = []
            var seed: UInt64 = UInt64(limit)
            for number in 0..<200 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1
                let line = String(repeating: String(number % 10), count: 1 + Int(seed >> 33) % 12)
                switch packer.append(Array(line.utf8)) {
                case .kept: expected.append(line)
                case .full(let datagram):
                    datagrams.append(datagram)
                    expected.append(line)
                case .tooLong: #expect(line.utf8.count > limit)
                }
            }
            if let last = packer.take() { datagrams.append(last) }
            #expect(datagrams.allSatisfy { $0.bytes.count <= limit }, "limit \(limit)")
            let lines = datagrams.flatMap { text($0.bytes).split(separator: "\n").map(String.init) }
            #expect(lines == expected, "limit \(limit)")
            #expect(datagrams.reduce(0) { $0 + $1.lineCount } == expected.count)
        }
    }
}

@Suite struct StatsDLineTests {
    @Test("Names and tags are written as DogStatsD wants them")
    func lines() {
        func line(_ name: String, _ kind: StatsDLine.Kind, _ tags: [(String, String)], _ value: String) -> String {
            String(decoding: StatsDLine(name, kind, tags: tags).bytes(Array(value.utf8)), as: UTF8.self)
        }
        #expect(line("orders", .counter, [], "1") == "orders:1|c")
        #expect(line("t", .timer, [("route", "/a/{id}"), ("pod", "")], "2.5") == "t:2.5|ms|#route:/a/{id},pod")
        #expect(line("u", .set, [("a", "b:c")], "x") == "u:x|s|#a:b:c")
        #expect(line("a:b|c\nd", .gauge, [("k|", "v,w\n")], "1") == "a_b_c_d:1|g|#k_:v_w_")
        #expect(line("", .histogram, [("", "x")], "1") == "_:1|h|#_:x")
    }

    @Test(
        "Numbers",
        arguments: [
            (0.0, "0"), (-0.0, "0"), (1, "1"), (-7, "-7"), (0.1, "0.1"), (1e15, "1000000000000000.0"),
            (123_456_789, "123456789"),
            (1.5e-7, "1.5e-07"),
        ])
    func numbers(value: Double, text: String) {
        #expect(statsdNumber(value).map { String(decoding: $0, as: UTF8.self) } == text)
    }

    @Test("What is not finite is refused", arguments: [Double.nan, .infinity, -.infinity])
    func notFinite(value: Double) { #expect(statsdNumber(value) == nil) }

    @Test(
        "Milliseconds keep every nanosecond",
        arguments: [
            (Int64(0), "0"), (1, "0.000001"), (1_000_000, "1"), (1_234_567, "1.234567"), (1_500_000, "1.5"),
            (-1_500_000, "-1.5"), (.max, "9223372036854.775807"), (.min, "-9223372036854.775808"),
        ])
    func milliseconds(nanoseconds: Int64, text: String) {
        #expect(String(decoding: statsdMilliseconds(nanoseconds: nanoseconds), as: UTF8.self) == text)
    }

    @Test("Addresses", arguments: ["", "h", "h:", ":1", "h:0", "h:65536", "::1:80", "h:x"])
    func badAddresses(address: String) {
        #expect(throws: ConfigurationError.self) { try splitAddress(address) }
    }

    @Test("Addresses of both families")
    func addresses() throws {
        #expect(try splitAddress("127.0.0.1:8125") == ("127.0.0.1", 8_125))
        #expect(try splitAddress("[::1]:9") == ("::1", 9))
    }
}

/// A bound UDP socket that collects lines.
private final class Listener {
    private let descriptor: CInt
    let port: UInt16

    init() {
        descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = self.descriptor
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Waits for datagrams until this many lines are there, or five seconds pass without any.
    func lines(_ count: Int) -> [String] {
        var lines: [String] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while lines.count < count {
            let length = recv(descriptor, &buffer, buffer.count, 0)
            if length <= 0 { break }
            lines += String(decoding: buffer[..<length], as: UTF8.self).split(separator: "\n").map(String.init)
        }
        return lines
    }
}

@Suite struct StatsDClientTests {
    private func client(_ listener: Listener) throws -> StatsDClient {
        var configuration = StatsDClient.Configuration(address: "127.0.0.1:\(listener.port)")
        configuration.flushInterval = .seconds(3_600)
        return try StatsDClient(configuration)
    }

    @Test("Every kind of line arrives, and what was sent is counted")
    func kinds() throws {
        let listener = Listener()
        let client = try client(listener)
        client.count("c", 2, tags: [("a", "b")])
        client.gauge("g", -1.5)
        client.timing("t", nanoseconds: 2_500_000)
        client.histogram("h", 3)
        client.set("s", "u|1")
        client.histogram("h", .nan)
        client.flush()
        #expect(listener.lines(5) == ["c:2|c|#a:b", "g:-1.5|g", "t:2.5|ms", "h:3|h", "s:u_1|s"])
        #expect(client.statistics.linesSent == 5)
        #expect(client.statistics.datagramsSent == 1)
        #expect(client.statistics.linesRejected == 1)
        client.shutdown()
        client.count("late")
        #expect(client.statistics.linesRejected == 2)
    }

    @Test("swift-metrics: counters add up, gauges keep the last value, values are lines")
    func metrics() throws {
        let listener = Listener()
        let client = try client(listener)
        let factory = StatsDMetrics(client)
        let counter = Counter(label: "c", dimensions: [("a", "b")], factory: factory)
        counter.increment(by: 2)
        Counter(label: "c", dimensions: [("a", "b")], factory: factory).increment(by: 3)
        Counter(label: "quiet", dimensions: [], factory: factory).increment(by: 0)
        _ = Counter(label: "untouched", dimensions: [], factory: factory)
        let floating = FloatingPointCounter(label: "f", dimensions: [], factory: factory)
        floating.increment(by: 0.5)
        floating.increment(by: Double.nan)
        floating.increment(by: 0.25)
        let meter = Meter(label: "m", dimensions: [], factory: factory)
        meter.set(10)
        meter.decrement(by: 4)
        Gauge(label: "g", dimensions: [], factory: factory).record(7)
        Metrics.Timer(label: "t", dimensions: [], factory: factory).recordMilliseconds(12)
        Recorder(label: "r", dimensions: [], aggregate: true, factory: factory).record(1.5)
        client.flush()
        let expected = ["c:5|c|#a:b", "f:0.75|c", "g:7|g", "m:6|g", "quiet:0|c", "r:1.5|h", "t:12|ms"]
        #expect(listener.lines(7).sorted() == expected)
        counter.increment()
        client.flush()
        #expect(listener.lines(1) == ["c:1|c|#a:b"])
        counter.increment(by: 4)
        counter.destroy()
        client.shutdown()
        #expect(listener.lines(1) == ["c:4|c|#a:b"])
    }

    @Test("Ten thousand lines arrive in datagrams of at most 1,400 bytes, all counted")
    func packing() throws {
        let listener = Listener()
        let client = try client(listener)
        var received = 0
        for round in 0..<100 {
            for number in 0..<100 { client.count("promo.http.requests", Double(number), tags: [("round", "\(round)")]) }
            client.flush()
            received += listener.lines(100).count
        }
        #expect(received == 10_000)
        let statistics = client.statistics
        #expect(statistics.linesSent == 10_000 && statistics.linesDropped == 0)
        #expect(statistics.bytesSent <= statistics.datagramsSent * 1_400)
    }

    @Test("Nobody listening is no error; what bounced is known in part")
    func refused() throws {
        let port = Listener().port
        let client = try StatsDClient(.init(address: "127.0.0.1:\(port)"))
        for _ in 0..<5 {
            client.count("c")
            client.flush()
        }
        #expect(client.statistics.linesSent + client.statistics.linesDropped == 5)
        #expect(client.statistics.datagramsRefused > 0)
    }
}
