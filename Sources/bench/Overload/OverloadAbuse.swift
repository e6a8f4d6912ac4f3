internal import Glibc
internal import Synchronization

/// E7: slow headers and rapid resets beside a normal load.
extension OverloadBench {
    private static let slowConnections = 900
    private static let resetConnections = 100

    func hostile() throws -> Bool {
        let daemon = try HeldDaemon(share: settings.wholeShare, listeners: ["http", "otlp-http", "otlp-grpc"])
        defer { daemon.stop() }
        let measured = RequestTemplates(bodies, salt: 1)
        let capacity = try capacity(daemon, measured, seconds: settings.stepSeconds)
        let source = LoadSource(templates: RequestTemplates(bodies, salt: 2), connections: 32)
        let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: [source])
        defer { load.close() }
        try load.connect()
        let phase = LoadGenerator.Phase(seconds: settings.stepSeconds, rates: [capacity / 2])
        let quiet = load.run([phase])[0]
        let crowd = try HostileCrowd(
            slow: Self.slowConnections, slowPort: daemon.port("otlp-http"), resets: Self.resetConnections,
            resetPort: daemon.port("otlp-grpc"))
        defer { crowd.end() }
        let beside = load.run([phase])[0]
        let counts = crowd.counts
        let limit = 2 * quiet.latency(0.99)
        let isPassed = beside.latency(0.99) <= limit && beside.accepted + beside.unsent == beside.offered
        var report = report(.hostile, "slow headers and rapid resets beside half of the capacity", daemon)
        report.add("slow_header_connections", Self.slowConnections)
        report.add("rapid_reset_connections", Self.resetConnections)
        report.add("slow_connections_opened", counts.slowOpened)
        report.add("reset_connections_opened", counts.resetOpened)
        report.add("streams_reset", counts.streamsReset)
        report.add("good_offered", beside.offered)
        report.add("good_accepted", beside.accepted)
        report.add("good_p99_ms_before", quiet.latency(0.99))
        report.add("good_p99_ms", beside.latency(0.99))
        report.add("good_p99_limit_ms", limit)
        report.add("peak_rss_bytes", daemon.process.peakResidentBytes)
        report.add("pass", isPassed)
        report.print()
        return isPassed
    }
}

/// Clients that want to hurt, on a thread of their own: requests whose headers never end, a byte a second each; and
/// HTTP/2 streams that are opened and reset at once. Who is closed comes again.
private final class HostileCrowd: Sendable {
    struct Counts {
        var slowOpened = 0
        var resetOpened = 0
        var streamsReset = 0
    }

    private struct Attacker {
        let isSlow: Bool
        let address: UInt32
        var descriptor: Int32 = -1
        var sent = 0
    }

    private let state = Mutex((counts: Counts(), isOver: false))
    private let ports: (slow: UInt16, reset: UInt16)

    init(slow: Int, slowPort: UInt16, resets: Int, resetPort: UInt16) throws {
        ports = (slowPort, resetPort)
        // Addresses beyond those of the good clients, 48 connections each.
        let attackers = (0..<slow + resets).map { index in
            Attacker(isSlow: index < slow, address: 0x7F00_0100 + UInt32(index / 48))
        }
        try startThread { self.run(attackers) }
    }

    var counts: Counts { state.withLock(\.counts) }
    func end() { state.withLock { $0.isOver = true } }

    private func run(_ all: [Attacker]) {
        var attackers = all
        var round = 0
        while !state.withLock(\.isOver) {
            for index in attackers.indices where !attackers[index].isSlow || index % 20 == round % 20 {
                act(&attackers[index])
            }
            round += 1
            usleep(50_000)
        }
        for attacker in attackers where attacker.descriptor >= 0 { close(attacker.descriptor) }
    }

    private func act(_ attacker: inout Attacker) {
        if attacker.descriptor < 0 { begin(&attacker) }
        guard attacker.descriptor >= 0 else { return }
        let bytes = attacker.isSlow ? [UInt8(ascii: "a")] : Self.resets(from: attacker.sent)
        let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
        var isOpen = true
        var waste = [UInt8](repeating: 0, count: 4_096)
        while isOpen {
            let count = recv(attacker.descriptor, &waste, waste.count, flags)
            if count < 0, errno == EAGAIN { break }
            isOpen = count > 0
        }
        let count = isOpen ? send(attacker.descriptor, bytes, bytes.count, flags) : -1
        if count == bytes.count {
            if attacker.isSlow { return }
            attacker.sent += Self.streamsARound
            state.withLock { $0.counts.streamsReset += Self.streamsARound }
        } else if count >= 0 || errno != EAGAIN || !isOpen {
            close(attacker.descriptor)
            attacker.descriptor = -1
        }
    }

    private func begin(_ attacker: inout Attacker) {
        let port = attacker.isSlow ? ports.slow : ports.reset
        guard let socket = try? LoopbackSocket(connecting: port, from: attacker.address) else { return }
        let hello =
            attacker.isSlow
            ? "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
            : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0"
        let bytes = Array(hello.utf8)
        _ = send(socket.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        attacker.descriptor = socket.descriptor
        attacker.sent = 0
        state.withLock { state in
            if attacker.isSlow { state.counts.slowOpened += 1 } else { state.counts.resetOpened += 1 }
        }
    }

    private static let streamsARound = 10

    /// HEADERS and RST_STREAM of the next streams. The block: `:method POST`, `:scheme http`, `:path /`, of the static
    /// table.
    private static func resets(from first: Int) -> [UInt8] {
        (first..<first + streamsARound).flatMap { index -> [UInt8] in
            let stream = UInt32(2 * index + 1)
            let id = (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) }
            return [0, 0, 3, 1, 4] + id + [0x83, 0x86, 0x84] + [0, 0, 4, 3, 0] + id + [0, 0, 0, 8]
        }
    }
}
