internal import CLinux
internal import Glibc
internal import Synchronization
internal import Telemetry

/// One bound datagram socket and its receive loop.
///
/// Never sends: nothing that arrives here can make the daemon speak to a forged address.
final class DatagramSocket: Sendable {
    let buffer: ReceiveBuffer
    private let descriptor: CInt
    /// An eventfd that ends the wait of ``run(_:ledger:)``.
    private let wakeup: CInt
    private let isStopping = Atomic<Bool>(false)
    private let received = Atomic<UInt64>(0)
    private let truncated = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)

    /// Takes a bound, non-blocking descriptor over.
    /// - Parameter receiveBufferBytes: zero leaves the kernel's default.
    init(adopting descriptor: CInt, receiveBufferBytes: Int) {
        self.descriptor = descriptor
        buffer =
            receiveBufferBytes > 0
            ? ReceiveBuffer(asking: receiveBufferBytes, of: descriptor)
            : ReceiveBuffer(askedBytes: 0, grantedBytes: 0)
        _ = clinux_enable_drop_counter(descriptor)
        wakeup = clinux_event_create()
    }

    deinit {
        close(descriptor)
        if wakeup >= 0 { close(wakeup) }
    }

    /// Zero for a socket that has none.
    var port: UInt16 { UInt16(clamping: clinux_bound_port(descriptor)) }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        _ = clinux_event_signal(wakeup)
    }

    func addCounts(to counts: inout DatagramCounts) {
        counts.received &+= received.load(ordering: .relaxed)
        counts.truncated &+= truncated.load(ordering: .relaxed)
        counts.receiveBufferBytes &+= UInt64(clamping: buffer.grantedBytes)
        // The socket's own count is fresher than what the loop noted with its last tick.
        var drops = DropCount(total: dropped.load(ordering: .relaxed))
        if let reading = socketDrops { _ = drops.advance(to: reading) }
        counts.droppedByKernel &+= drops.total
    }

    /// Receives until ``stop()``, on the calling thread.
    func run(_ receiver: inout some DatagramReceiver, ledger: Ledger) {
        guard var batch = ReceiveBatch() else { return }
        var pace = ReceivePace()
        while !isStopping.load(ordering: .acquiring) {
            let count = batch.receive(from: descriptor)
            if count > 0 { take(batch, count, &receiver, ledger) }
            if pace.isTickDue(isBusy: count > 0 || receiver.isPending) {
                receiver.tick()
                noteDrops(batch, ledger)
            }
            if count < ReceiveBatch.slots {
                pace.rest(after: count)
                if count <= 0 {
                    let isGathering = receiver.settle()
                    let pause = receiver.isPending ? ReceivePace.tickMilliseconds : 10_000
                    wait(milliseconds: isGathering ? ReceivePace.gatherMilliseconds : pause)
                }
            }
        }
        drainRest(&batch, &receiver, ledger)
    }

    /// Takes what had arrived before the stop, within a bound, so that a flood cannot hold up the end.
    private func drainRest(_ batch: inout ReceiveBatch, _ receiver: inout some DatagramReceiver, _ ledger: Ledger) {
        for _ in 0..<256 {
            let count = batch.receive(from: descriptor)
            guard count > 0 else { break }
            take(batch, count, &receiver, ledger)
        }
        receiver.tick()
        noteDrops(batch, ledger)
    }

    private func take(
        _ batch: borrowing ReceiveBatch, _ count: Int, _ receiver: inout some DatagramReceiver, _ ledger: Ledger
    ) {
        var (whole, cut): (UInt64, UInt64) = (0, 0)
        for index in 0..<count {
            if let datagrams = batch.forEachDatagram(of: index, { receiver.receive($0) }) {
                whole &+= UInt64(datagrams)
            } else {
                cut &+= 1
            }
        }
        received.add(whole &+ cut, ordering: .relaxed)
        ledger.datagramsReceived.add(whole &+ cut, ordering: .relaxed)
        ledger.datagramsHandled.add(whole, ordering: .relaxed)
        if cut > 0 {
            truncated.add(cut, ordering: .relaxed)
            ledger.datagramsTruncated.add(cut, ordering: .relaxed)
        }
    }

    /// The running count of the socket itself (SO_MEMINFO); nil where the kernel does not tell.
    private var socketDrops: UInt32? {
        let count = clinux_socket_drops(descriptor)
        return count >= 0 ? UInt32(truncatingIfNeeded: count) : nil
    }

    private func noteDrops(_ batch: borrowing ReceiveBatch, _ ledger: Ledger) {
        var drops = DropCount(total: dropped.load(ordering: .relaxed))
        var growth = drops.advance(to: batch.kernelDrops)
        if let reading = socketDrops { growth &+= drops.advance(to: reading) }
        guard growth > 0 else { return }
        dropped.store(drops.total, ordering: .relaxed)
        ledger.datagramsDroppedByKernel.add(growth, ordering: .relaxed)
    }

    private func wait(milliseconds: CInt) {
        withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 2) { entries in
            entries.initializeElement(at: 0, to: pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
            entries.initializeElement(at: 1, to: pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0))
            poll(entries.baseAddress, 2, milliseconds)
        }
    }
}
