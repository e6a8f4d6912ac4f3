internal import CLinux
internal import Glibc
internal import NIOCore
internal import Synchronization
internal import Telemetry

/// One bound datagram socket and its receive loop.
///
/// Never sends: nothing that arrives here can make the daemon speak to a forged address.
final class UDPSocket: Sendable {
    let port: UInt16
    private let descriptor: CInt
    /// An eventfd that ends the wait of ``run(_:ledger:)``.
    private let wakeup: CInt
    private let grantedBytes: UInt64
    private let isStopping = Atomic<Bool>(false)
    private let received = Atomic<UInt64>(0)
    private let truncated = Atomic<UInt64>(0)
    private let dropped = Atomic<UInt64>(0)

    /// - Parameter receiveBufferBytes: zero leaves the kernel's default.
    init(_ address: BindAddress, sharesPort: Bool, receiveBufferBytes: Int) throws(ListenerError) {
        let resolved = try SocketAddress.resolving(address)
        let family: CInt = resolved.protocol == .inet6 ? AF_INET6 : AF_INET
        let descriptor = socket(
            family, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(address, "socket: errno \(errno)") }
        if sharesPort {
            var on: CInt = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, socklen_t(MemoryLayout<CInt>.size))
        }
        let result = resolved.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw .bind(address, errno: code, "errno \(code)")
        }
        if receiveBufferBytes > 0 {
            let bytes = CInt(clamping: receiveBufferBytes)
            grantedBytes = UInt64(clamping: clinux_set_receive_buffer(descriptor, bytes))
        } else {
            grantedBytes = 0
        }
        _ = clinux_enable_drop_counter(descriptor)
        self.descriptor = descriptor
        wakeup = clinux_event_create()
        port = UInt16(clamping: clinux_bound_port(descriptor))
    }

    deinit {
        close(descriptor)
        if wakeup >= 0 { close(wakeup) }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        _ = clinux_event_signal(wakeup)
    }

    func addCounts(to counts: inout UDPCounts) {
        counts.received &+= received.load(ordering: .relaxed)
        counts.truncated &+= truncated.load(ordering: .relaxed)
        counts.receiveBufferBytes &+= grantedBytes
        // The socket's own count is fresher than what the loop saw with its last datagram.
        let loaded = dropped.load(ordering: .relaxed)
        counts.droppedByKernel &+= max(loaded, UInt64(clamping: clinux_socket_drops(descriptor)))
    }

    /// Receives until ``stop()``, on the calling thread.
    func run(_ receiver: inout some DatagramReceiver, ledger: Ledger) {
        guard let batch = ReceiveBatch() else { return }
        var pace = ReceivePace()
        while !isStopping.load(ordering: .acquiring) {
            let count = batch.receive(from: descriptor)
            if count > 0 { take(batch, count, &receiver, ledger) }
            if pace.isTickDue(isBusy: count > 0 || receiver.isPending) {
                receiver.tick()
                noteDrops(clinux_socket_drops(descriptor), ledger)
            }
            if count < batch.slots {
                pace.rest(after: count)
                if count <= 0 { wait(milliseconds: receiver.isPending ? ReceivePace.tickMilliseconds : 10_000) }
            }
        }
        drainRest(batch, &receiver, ledger)
    }

    /// Takes what had arrived before the stop, within a bound, so that a flood cannot hold up the end.
    private func drainRest(_ batch: borrowing ReceiveBatch, _ receiver: inout some DatagramReceiver, _ ledger: Ledger) {
        for _ in 0..<256 {
            let count = batch.receive(from: descriptor)
            guard count > 0 else { break }
            take(batch, count, &receiver, ledger)
        }
        receiver.tick()
        noteDrops(clinux_socket_drops(descriptor), ledger)
    }

    private func take(
        _ batch: borrowing ReceiveBatch, _ count: Int, _ receiver: inout some DatagramReceiver, _ ledger: Ledger
    ) {
        var cut: UInt64 = 0
        for index in 0..<count {
            if let datagram = batch[index] { receiver.receive(datagram) } else { cut &+= 1 }
        }
        received.add(UInt64(count), ordering: .relaxed)
        ledger.datagramsReceived.add(UInt64(count), ordering: .relaxed)
        ledger.datagramsHandled.add(UInt64(count) &- cut, ordering: .relaxed)
        if cut > 0 {
            truncated.add(cut, ordering: .relaxed)
            ledger.datagramsTruncated.add(cut, ordering: .relaxed)
        }
    }

    /// Carries the kernel's 32-bit running count over into ours.
    private func noteDrops(_ count: Int64, _ ledger: Ledger) {
        guard count >= 0 else { return }
        let before = dropped.load(ordering: .relaxed)
        let delta = UInt32(truncatingIfNeeded: count) &- UInt32(truncatingIfNeeded: before)
        guard delta > 0 else { return }
        dropped.store(before &+ UInt64(delta), ordering: .relaxed)
        ledger.datagramsDroppedByKernel.add(UInt64(delta), ordering: .relaxed)
    }

    private func wait(milliseconds: CInt) {
        var entries = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0),
        ]
        poll(&entries, 2, milliseconds)
    }
}

/// When to tick, and when to let datagrams gather before the next receive call.
private struct ReceivePace {
    static let tickMilliseconds: CInt = 250
    private var lastTick = ContinuousClock.now
    private var lastReceive = ContinuousClock.now
    private var isSteady = false

    mutating func isTickDue(isBusy: Bool) -> Bool {
        let now = ContinuousClock.now
        guard now - lastTick >= .milliseconds(Int(Self.tickMilliseconds)) || !isBusy else { return false }
        lastTick = now
        return true
    }

    /// Under steady traffic a pause of half a millisecond turns many small batches into a few larger ones: the
    /// system calls and wake-ups cost more than the datagrams. The socket's buffer holds hundreds of times as much.
    mutating func rest(after count: Int) {
        guard count > 0 else { return }
        let now = ContinuousClock.now
        isSteady = now - lastReceive < .milliseconds(2)
        lastReceive = now
        if isSteady { usleep(500) }
    }
}

/// The buffers of one recvmmsg call.
private struct ReceiveBatch: ~Copyable {
    let slots = 64
    private let batch: OpaquePointer
    private let datagrams: UnsafeMutablePointer<clinux_datagram>
    private let bytes: UnsafePointer<UInt8>

    init?() {
        guard let batch = clinux_batch_create(64, UInt32(Limits.datagramBytes)), let bytes = clinux_batch_bytes(batch)
        else { return nil }
        self.batch = batch
        self.bytes = bytes
        datagrams = .allocate(capacity: 64)
    }

    deinit {
        clinux_batch_destroy(batch)
        datagrams.deallocate()
    }

    /// The number received; zero or less when there was none.
    func receive(from descriptor: CInt) -> Int {
        var drops: UInt32 = 0
        return Int(clinux_receive(descriptor, batch, datagrams, &drops))
    }

    /// The bytes of a datagram of the last call; nil when it was cut.
    subscript(index: Int) -> UnsafeRawBufferPointer? {
        let datagram = datagrams[index]
        if datagram.truncated != 0 { return nil }
        return UnsafeRawBufferPointer(start: bytes + Int(datagram.offset), count: Int(datagram.length))
    }
}
