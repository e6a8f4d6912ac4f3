internal import CLinux
internal import Glibc
internal import Synchronization
internal import WireFormats

/// What promo-shop's client sent as Crest datagrams of one size.
struct DatagramRecording: Sendable {
    private let datagrams: [[UInt8]]
    private let decoded: [CrestDatagram]
    let spanCount: Int
    var count: Int { datagrams.count }
    var byteCount: Int { datagrams.reduce(0) { $0 + $1.count } }

    init(spans: Int, seed: Int, datagramBytes: Int) throws {
        let sink = try LoopbackSocket(bound: SOCK_DGRAM)
        var room: Int32 = 64 << 20
        setsockopt(sink.descriptor, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
        let received = Received()
        try startThread { received.run(sink) }
        let rate = 400
        let seconds = max(1, (spans / 24 + rate - 1) / rate)
        progress("recording \(seconds) s of promo-shop's datagrams of \(datagramBytes) bytes, seed \(seed)")
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw CallFailure(call: "pipe") }
        let pid = try spawn(
            siblingPath("promo-shop"),
            [
                "--rate", "\(rate)", "--peak", "1x", "--duration", "\(seconds)s", "--seed", "\(seed)", "--quiet",
                "--datagrams", "127.0.0.1:\(sink.port)", "--datagram-bytes", "\(datagramBytes)",
                "--statsd", "127.0.0.1:9",
            ],
            standardOutput: pipes[1])
        close(pipes[1])
        _ = readAll(pipes[0])
        var code: Int32 = 0
        waitpid(pid, &code, 0)
        guard code == 0 else { throw CallFailure(call: "promo-shop, exit \(code >> 8)") }
        usleep(300_000)
        datagrams = received.datagrams.withLock { $0 }
        decoded = try datagrams.map { try $0.withUnsafeBytes { try decodeCrestDatagram($0, limit: 1 << 20) } }
        spanCount = decoded.reduce(0) { $0 + Int($1.head.items) }
        let sent = decoded.map(\.head.sent).max() ?? 0
        guard spanCount > 0, sent == UInt64(spanCount) else {
            throw ReplayFailure(text: "\(Int(sent) - spanCount) spans were lost while recording")
        }
    }

    /// Sends everything once, as a source of its own.
    /// - Parameter spansPerSecond: how fast at most.
    func send(source: Int, to port: UInt16, spansPerSecond: Int) throws {
        let socket = try LoopbackSocket(connected: SOCK_DGRAM, port: port)
        defer { socket.close() }
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        let epoch = UInt64(clock.tv_sec) * 1_000_000_000 + UInt64(clock.tv_nsec)
        let started = now()
        var sent = 0
        for (bytes, datagram) in zip(datagrams, decoded) {
            var head = datagram.head
            (head.source, head.epoch, head.time) = (UInt64(source) + 1, epoch, epoch)
            let out = bytes.withUnsafeBytes { bytes in
                encodeCrestDatagram(head, payload: UnsafeRawBufferPointer(rebasing: bytes[datagram.payload]))
            }
            try socket.send(out)
            sent += Int(head.items)
            let ahead = started + Double(sent) / Double(spansPerSecond) - now()
            if ahead > 500e-6 { usleep(UInt32(ahead * 1e6)) }
        }
    }

    private final class Received: Sendable {
        let datagrams = Mutex<[[UInt8]]>([])

        func run(_ socket: LoopbackSocket) {
            while true {
                let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                    count = max(recv(socket.descriptor, buffer.baseAddress, buffer.count, 0), 0)
                }
                // Only as long as it is: thousands are kept.
                if !bytes.isEmpty { datagrams.withLock { $0.append(Array(bytes[...])) } }
            }
        }
    }
}

/// CPU seconds for each million of spans that come as Crest datagrams, until they are in the log and the head.
func runDatagrams(spans: Int, spansPerSecond: Int, seed: Int) throws {
    for (bytes, target) in [(32_768, 1.5), (1_400, 2.2)] {
        let recording = try DatagramRecording(spans: min(spans, 200_000), seed: seed, datagramBytes: bytes)
        let rounds = max(1, (spans + recording.spanCount - 1) / recording.spanCount)
        // Nothing is sealed: what is measured ends with the log and the head.
        let daemon = try MeasuredDaemon(pinned: false, flags: ["--memory-limit", "16GiB"])
        defer { daemon.stop() }
        let port = daemon.process.ports["crest-udp"] ?? 0
        let before = daemon.process.cpuSeconds
        let started = now()
        for round in 0..<rounds { try recording.send(source: round, to: port, spansPerSecond: spansPerSecond) }
        let seconds = now() - started
        var text = try daemon.metrics(after: recording.count * rounds)
        while metric("crest_spans_in_flight", in: text) > 0 { text = try daemon.metrics() }
        let cpu = daemon.process.cpuSeconds - before
        let stored = metric("crest_spans_acknowledged_total", in: text)
        var report = Report("datagrams")
        report.add("datagram_bytes", bytes)
        report.add("spans_sent", recording.spanCount * rounds)
        report.add("spans_stored", Int(stored))
        report.add("spans_lost", Int(metric("crest_datagram_items_gap_total", in: text)))
        report.add("spans_refused", Int(metric("crest_spans_rejected_total", in: text)))
        report.add("datagrams", recording.count * rounds)
        report.add("bytes_per_span", Double(recording.byteCount) / Double(recording.spanCount))
        report.add("spans_per_second", Double(recording.spanCount * rounds) / seconds)
        report.add("cpu_s_per_million_spans", cpu / stored * 1e6)
        report.add("target_cpu_s_per_million_spans", target)
        report.print()
    }
}
