internal import Glibc

/// A UDP socket connected to one server. Never blocks: what the kernel will not take now is the caller's loss to
/// count.
struct DatagramSocket: ~Copyable {
    private let descriptor: CInt

    enum Sent {
        /// The kernel took it.
        case sent
        /// The kernel took it, and says that an earlier one found nobody listening.
        case sentAfterRefusal
        /// The kernel did not take it.
        case dropped
    }

    /// - Parameter address: `HOST:PORT`; IPv6 in brackets. A host name is looked up once, here.
    init(connectedTo address: String) throws(ConfigurationError) {
        let (host, port) = try splitAddress(address)
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        guard code == 0, let first = list else {
            throw ConfigurationError("address \"\(address)\": \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        let info = first.pointee
        let opened = socket(
            info.ai_family, info.ai_socktype | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard opened >= 0 else {
            throw ConfigurationError("address \"\(address)\": socket: \(String(cString: strerror(errno)))")
        }
        guard connect(opened, info.ai_addr, info.ai_addrlen) == 0 else {
            let reason = String(cString: strerror(errno))
            close(opened)
            throw ConfigurationError("address \"\(address)\": connect: \(reason)")
        }
        self.descriptor = opened
    }

    deinit { close(descriptor) }

    borrowing func send(_ bytes: [UInt8]) -> Sent {
        if transmit(bytes) { return .sent }
        // A refusal belongs to an earlier datagram; the kernel reports it instead of sending this one.
        if errno == ECONNREFUSED { return transmit(bytes) ? .sentAfterRefusal : .dropped }
        return errno == EINTR && transmit(bytes) ? .sent : .dropped
    }

    private borrowing func transmit(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            == bytes.count
    }
}

/// `127.0.0.1:8125`, `statsd.internal:8125`, `[::1]:8125`.
package func splitAddress(_ address: String) throws(ConfigurationError) -> (host: String, port: UInt16) {
    guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]),
        port > 0
    else { throw ConfigurationError("address \"\(address)\": want HOST:PORT") }
    var host = address[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
        host = host.dropFirst().dropLast()
    } else if host.contains(":") {
        throw ConfigurationError("address \"\(address)\": put an IPv6 address in brackets")
    }
    guard !host.isEmpty else { throw ConfigurationError("address \"\(address)\": the host is missing") }
    return (String(host), port)
}
