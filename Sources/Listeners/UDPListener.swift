internal import CLinux
internal import Glibc
internal import NIOCore
package import Telemetry

/// Datagrams on one address: one socket and one thread a worker, sharing the port by SO_REUSEPORT.
package final class UDPListener: DatagramListener {
    /// The address with its real port.
    package let address: BindAddress
    /// Of each worker's socket.
    package let buffer: ReceiveBuffer
    private let sockets: [DatagramSocket]
    private let threads: [NativeThread]

    /// Binds and starts to receive.
    /// - Parameters:
    ///   - workers: sockets, each with its thread, at least 1.
    ///   - receiveBufferBytes: asked of the kernel for each socket; it may grant less, see ``buffer``.
    ///   - ledger: its datagram terms are counted here.
    ///   - makeReceiver: called once on each worker's thread.
    package init<Receiver: DatagramReceiver & SendableMetatype>(
        _ address: BindAddress, workers: Int = 1, receiveBufferBytes: Int = 8 << 20, ledger: Ledger,
        makeReceiver: @escaping @Sendable (_ worker: Int) -> Receiver
    ) throws(ListenerError) {
        let workers = max(workers, 1)
        var bound = address
        var sockets: [DatagramSocket] = []
        // A port with SO_REUSEPORT can be taken twice by one user; a first bind without it shows the port is free.
        if workers > 1 {
            let probe = try DatagramSocket(address, sharesPort: false, receiveBufferBytes: 0)
            bound = BindAddress(host: address.host, port: probe.port)
        }
        for _ in 0..<workers {
            let socket = try DatagramSocket(bound, sharesPort: workers > 1, receiveBufferBytes: receiveBufferBytes)
            bound = BindAddress(host: address.host, port: socket.port)
            sockets.append(socket)
        }
        self.address = bound
        self.sockets = sockets
        buffer = sockets.first?.buffer ?? ReceiveBuffer(askedBytes: 0, grantedBytes: 0)
        threads = sockets.enumerated().map { index, socket in
            NativeThread(name: "udp-\(bound.port)") {
                var receiver = makeReceiver(index)
                socket.run(&receiver, ledger: ledger)
            }
        }
    }

    package func stop() {
        for socket in sockets { socket.stop() }
        for thread in threads { thread.join() }
    }

    package var counts: DatagramCounts {
        var counts = DatagramCounts()
        for socket in sockets { socket.addCounts(to: &counts) }
        return counts
    }
}

extension DatagramSocket {
    /// A UDP socket bound to the address. Takes datagrams that the kernel has put together (UDP_GRO) where it can.
    fileprivate convenience init(
        _ address: BindAddress, sharesPort: Bool, receiveBufferBytes: Int
    ) throws(ListenerError) {
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
        _ = clinux_enable_gro(descriptor)
        self.init(adopting: descriptor, receiveBufferBytes: receiveBufferBytes)
    }
}
