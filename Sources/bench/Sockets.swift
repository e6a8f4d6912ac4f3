internal import Glibc

/// A failed system call, by name.
struct CallFailure: Error, CustomStringConvertible {
    let call: String
    let number = errno

    var description: String { "\(call): \(String(cString: strerror(number)))" }
}

/// A blocking IPv4 socket on loopback. Plain on purpose: the load generator must not be what is measured.
struct LoopbackSocket: Sendable {
    let descriptor: Int32

    private static func address(port: UInt16, host: UInt32) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = host.bigEndian
        return address
    }

    private static func withAddress<Result>(
        port: UInt16, host: UInt32 = 0x7F00_0001, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = address(port: port, host: host)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// A listening or bound socket on a free port.
    init(bound kind: __socket_type) throws {
        descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
        guard descriptor >= 0 else { throw CallFailure(call: "socket") }
        guard Self.withAddress(port: 0, { bind(descriptor, $0, $1) }) == 0 else { throw CallFailure(call: "bind") }
        if kind == SOCK_STREAM, listen(descriptor, 64) != 0 { throw CallFailure(call: "listen") }
    }

    init(connected kind: __socket_type, port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
        guard descriptor >= 0 else { throw CallFailure(call: "socket") }
        guard Self.withAddress(port: port, { connect(descriptor, $0, $1) }) == 0 else {
            throw CallFailure(call: "connect to port \(port)")
        }
        var on: Int32 = 1
        if kind == SOCK_STREAM {
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    var port: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw CallFailure(call: "send") }
            sent += count
        }
    }

    func close() { _ = Glibc.close(descriptor) }
}

extension LoopbackSocket {
    /// A non-blocking TCP socket that connects, from another loopback address.
    /// - Parameter address: of the client, in host order.
    init(connecting port: UInt16, from address: UInt32) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw CallFailure(call: "socket") }
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
        // The port is chosen when connecting, so that ports of other addresses do not count.
        setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on, size)
        let isBound = Self.withAddress(port: 0, host: address) { bind(descriptor, $0, $1) } == 0
        if isBound, Self.withAddress(port: port, { connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS {
            return
        }
        let failure = CallFailure(call: "connect to port \(port)")
        close()
        throw failure
    }
}
