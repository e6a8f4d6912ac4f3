import CLinux
import Glibc
import Listeners
import Synchronization
import Telemetry
import Testing

/// Keeps what it receives; `isPending` until the next tick.
private struct Recorder: DatagramReceiver {
    final class Log: Sendable {
        let datagrams = Mutex<[[UInt8]]>([])
        let ticks = Atomic<Int>(0)
        let ended = Atomic<Int>(0)
    }

    let log: Log
    var isPending = false

    mutating func receive(_ datagram: UnsafeRawBufferPointer) {
        log.datagrams.withLock { $0.append(Array(datagram)) }
        isPending = true
    }

    mutating func tick() {
        log.ticks.add(1, ordering: .relaxed)
        isPending = false
    }
}

@Suite struct UDPListenerTests {
    private func listener(_ log: Recorder.Log, _ ledger: Ledger, workers: Int = 1) throws -> UDPListener {
        try UDPListener(BindAddress(host: "127.0.0.1", port: 0), workers: workers, ledger: ledger) { _ in
            Recorder(log: log)
        }
    }

    @Test("Every datagram arrives whole, is counted, and is followed by a tick", arguments: [1, 3])
    func receives(workers: Int) throws {
        let (log, ledger) = (Recorder.Log(), Ledger())
        let listener = try listener(log, ledger, workers: workers)
        let sent = (0..<500).map { Array("datagram \($0)".utf8) } + [[], [UInt8](repeating: 7, count: 60_000)]
        for datagram in sent { try sendDatagram(datagram, port: listener.address.port) }
        #expect(eventually { log.datagrams.withLock { $0.count } == sent.count })
        #expect(eventually { log.ticks.load(ordering: .relaxed) > 0 })
        listener.stop()
        let received = log.datagrams.withLock { $0.map { String(decoding: $0, as: UTF8.self) }.sorted() }
        #expect(received == sent.map { String(decoding: $0, as: UTF8.self) }.sorted())
        #expect(listener.counts.received == UInt64(sent.count))
        #expect(listener.counts.truncated == 0)
        #expect(listener.counts.droppedByKernel == 0)
        #expect(listener.counts.receiveBufferBytes > 0)
        #expect(ledger.datagramsReceived.load(ordering: .relaxed) == UInt64(sent.count))
        #expect(ledger.datagramsHandled.load(ordering: .relaxed) == UInt64(sent.count))
    }

    @Test("Sent is received plus dropped, to the datagram, when the socket's buffer overflows")
    func overflow() throws {
        let (log, ledger) = (Recorder.Log(), Ledger())
        let listener = try UDPListener(
            BindAddress(host: "127.0.0.1", port: 0), receiveBufferBytes: 4_096, ledger: ledger
        ) { _ in SlowRecorder(log: log) }
        let count = 2_000
        let bytes = [UInt8](repeating: 1, count: 1_000)
        for _ in 0..<count { try sendDatagram(bytes, port: listener.address.port) }
        #expect(
            eventually {
                let counts = listener.counts
                return counts.received + counts.droppedByKernel == UInt64(count)
            })
        listener.stop()
        let dropped = ledger.datagramsDroppedByKernel.load(ordering: .relaxed)
        #expect(dropped > 0)
        #expect(dropped + ledger.datagramsReceived.load(ordering: .relaxed) == UInt64(count))
        #expect(listener.counts.droppedByKernel == dropped)
    }

    @Test("Datagrams that the kernel hands over as one are taken apart and counted one by one")
    func segments() throws {
        let (log, ledger) = (Recorder.Log(), Ledger())
        let listener = try listener(log, ledger)
        let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        // Without UDP_SEGMENT the kernel sends one long datagram, and there is nothing to take apart.
        guard clinux_set_segment(descriptor, 1_000) == 0 else { return listener.stop() }
        let bytes = (0..<20).flatMap { [UInt8](repeating: UInt8($0), count: $0 == 19 ? 300 : 1_000) }
        try loopback(listener.address.port) { address, length in
            #expect(sendto(descriptor, bytes, bytes.count, 0, address, length) == bytes.count)
        }
        #expect(eventually { listener.counts.received == 20 })
        listener.stop()
        let datagrams = log.datagrams.withLock { $0 }
        #expect(datagrams.map { $0.first ?? 255 } == Array(0..<20))
        #expect(datagrams.map(\.count) == [Int](repeating: 1_000, count: 19) + [300])
        #expect(ledger.datagramsHandled.load(ordering: .relaxed) == 20)
    }

    @Test("A buffer that the kernel clipped says so, with the line that helps")
    func clipped() {
        let clipped = ReceiveBuffer(askedBytes: 16 << 20, grantedBytes: 8 << 20)
        #expect(clipped.isClipped)
        #expect(clipped.remedy == "sysctl -w net.core.rmem_max=16777216")
        #expect(!ReceiveBuffer(askedBytes: 16 << 20, grantedBytes: 32 << 20).isClipped)
        #expect(!ReceiveBuffer(askedBytes: 0, grantedBytes: 0).isClipped)
    }

    @Test("An idle listener stops at once, and its port is free again")
    func stops() throws {
        let (log, ledger) = (Recorder.Log(), Ledger())
        let listener = try listener(log, ledger)
        let start = ContinuousClock.now
        listener.stop()
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(log.ticks.load(ordering: .relaxed) > 0)
    }

    @Test("A taken port is told as such, for one worker and for several", arguments: [1, 2], [1, 2])
    func portTaken(first: Int, second: Int) throws {
        let ledger = Ledger()
        let owner = try listener(Recorder.Log(), ledger, workers: first)
        #expect(throws: ListenerError.addressInUse(owner.address)) {
            try UDPListener(owner.address, workers: second, ledger: ledger) { _ in Recorder(log: Recorder.Log()) }
        }
        owner.stop()
    }
}

/// Takes long enough for a small socket buffer to overflow.
private struct SlowRecorder: DatagramReceiver {
    let log: Recorder.Log
    var isPending: Bool { false }
    mutating func receive(_ datagram: UnsafeRawBufferPointer) { usleep(300) }
    mutating func tick() {}
}
