package import Telemetry

/// What a UDP listener has counted since it was bound.
package struct UDPCounts: Hashable, Sendable {
    package var received: UInt64 = 0
    /// Longer than `Limits.datagramBytes`; dropped.
    package var truncated: UInt64 = 0
    /// Dropped by the kernel because the socket's buffer was full.
    package var droppedByKernel: UInt64 = 0
    /// Bytes of receive buffer that the kernel granted, of all sockets.
    package var receiveBufferBytes: UInt64 = 0
}

/// Datagrams on one address: one socket and one thread a worker, sharing the port by SO_REUSEPORT.
package final class UDPListener: Sendable {
    /// The address with its real port.
    package let address: BindAddress
    private let sockets: [UDPSocket]
    private let threads: [NativeThread]

    /// Binds and starts to receive.
    /// - Parameters:
    ///   - workers: sockets, each with its thread, at least 1.
    ///   - receiveBufferBytes: asked of the kernel for each socket; it may grant less.
    ///   - ledger: its datagram terms are counted here.
    ///   - makeReceiver: called once on each worker's thread.
    package init<Receiver: DatagramReceiver & SendableMetatype>(
        _ address: BindAddress, workers: Int = 1, receiveBufferBytes: Int = 8 << 20, ledger: Ledger,
        makeReceiver: @escaping @Sendable (_ worker: Int) -> Receiver
    ) throws(ListenerError) {
        let workers = max(workers, 1)
        var bound = address
        var sockets: [UDPSocket] = []
        // A port with SO_REUSEPORT can be taken twice by one user; a first bind without it shows the port is free.
        if workers > 1 {
            let probe = try UDPSocket(address, sharesPort: false, receiveBufferBytes: 0)
            bound = BindAddress(host: address.host, port: probe.port)
        }
        for _ in 0..<workers {
            let socket = try UDPSocket(bound, sharesPort: workers > 1, receiveBufferBytes: receiveBufferBytes)
            bound = BindAddress(host: address.host, port: socket.port)
            sockets.append(socket)
        }
        self.address = bound
        self.sockets = sockets
        threads = sockets.enumerated().map { index, socket in
            NativeThread(name: "udp-\(bound.port)") {
                var receiver = makeReceiver(index)
                socket.run(&receiver, ledger: ledger)
            }
        }
    }

    /// Stops receiving and returns when all threads have ended, each after a last tick.
    package func stop() {
        for socket in sockets { socket.stop() }
        for thread in threads { thread.join() }
    }

    package var counts: UDPCounts {
        var counts = UDPCounts()
        for socket in sockets { socket.addCounts(to: &counts) }
        return counts
    }
}
