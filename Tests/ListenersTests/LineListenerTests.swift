import Glibc
import Listeners
import Synchronization
import Telemetry
import Testing

@Suite struct LineListenerTests {
    private final class Seen: Sendable {
        let text = Mutex("")
        let ticks = Atomic<Int>(0)
        var lines: [String] { text.withLock { $0 }.split(separator: "\n").map(String.init) }
    }

    private struct Receiver: DatagramReceiver {
        let seen: Seen
        var isPending = false
        mutating func receive(_ datagram: UnsafeRawBufferPointer) {
            // A block ends with its line feed, but for the last line of a stream.
            seen.text.withLock { $0 += String(decoding: datagram, as: UTF8.self) + "\n" }
        }
        mutating func tick() { seen.ticks.add(1, ordering: .relaxed) }
    }

    private func listener(
        _ seen: Seen, _ ledger: Ledger = Ledger(), limits: LineStreamLimits = LineStreamLimits()
    ) throws -> LineListener {
        try LineListener(BindAddress(host: "127.0.0.1", port: 0), limits: limits, ledger: ledger) {
            Receiver(seen: seen)
        }
    }

    private func connect(_ listener: LineListener) throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        let result = try loopback(listener.address.port) { Glibc.connect(descriptor, $0, $1) }
        guard result == 0 else { throw SocketFailure(call: "connect", code: errno) }
        return descriptor
    }

    private func write(_ text: String, to descriptor: CInt) {
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            start += count
        }
    }

    /// Waits for the peer's end of the stream.
    private func isClosedByPeer(_ descriptor: CInt) -> Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) <= 0
    }

    @Test("Lines of several connections arrive, in order on each, the last one without a line feed")
    func lines() throws {
        let seen = Seen()
        let listener = try listener(seen)
        let (first, second) = (try connect(listener), try connect(listener))
        write("a:1|c\nb:2", to: first)
        #expect(eventually { seen.lines == ["a:1|c"] })
        write("x:1|c\n", to: second)
        #expect(eventually { seen.lines == ["a:1|c", "x:1|c"] })
        write("|c\nlast:1|c", to: first)
        close(first)
        #expect(eventually { seen.lines == ["a:1|c", "x:1|c", "b:2|c", "last:1|c"] })
        #expect(eventually { seen.ticks.load(ordering: .relaxed) > 0 })
        close(second)
        #expect(eventually { listener.counts.open == 0 })
        #expect(listener.counts == LineStreamCounts(accepted: 2))
        listener.stop()
    }

    @Test("A line that is too long is counted, and the connection goes on")
    func tooLong() throws {
        let (seen, ledger) = (Seen(), Ledger())
        let listener = try listener(seen, ledger)
        let descriptor = try connect(listener)
        write(String(repeating: "x", count: 300_000) + "\nafter:1|c\n", to: descriptor)
        #expect(eventually { seen.lines.last == "after:1|c" })
        #expect(eventually { ledger.linesSeen.load(ordering: .relaxed) >= 1 })
        close(descriptor)
        listener.stop()
        let handedOn = seen.lines.filter { $0 != "after:1|c" }.count
        #expect(ledger.linesRejected.total + UInt64(handedOn) == 1)
    }

    @Test("Connections beyond the bound and silent ones are closed and counted")
    func bounds() throws {
        var limits = LineStreamLimits()
        limits.connections = 2
        limits.idleSeconds = 1
        let seen = Seen()
        let listener = try listener(seen, limits: limits)
        let open = [try connect(listener), try connect(listener)]
        #expect(eventually { listener.counts.open == 2 })
        let third = try connect(listener)
        #expect(isClosedByPeer(third))
        #expect(listener.counts.refused == 1)
        write("whole:1|c\ncut:1|c|#half", to: open[0])
        for descriptor in open { #expect(isClosedByPeer(descriptor)) }
        #expect(eventually { listener.counts.open == 0 })
        #expect(listener.counts == LineStreamCounts(accepted: 2, refused: 1, idled: 2, cutLines: 1))
        #expect(seen.lines == ["whole:1|c"])
        for descriptor in open + [third] { close(descriptor) }
        listener.stop()
    }

    @Test("A stop closes connections and frees the port, and a taken port is told")
    func stops() throws {
        let listener = try listener(Seen())
        let descriptor = try connect(listener)
        #expect(throws: ListenerError.addressInUse(listener.address)) {
            try LineListener(listener.address, ledger: Ledger()) { Receiver(seen: Seen()) }
        }
        listener.stop()
        #expect(isClosedByPeer(descriptor))
        close(descriptor)
        let again = try LineListener(listener.address, ledger: Ledger()) { Receiver(seen: Seen()) }
        again.stop()
    }
}
