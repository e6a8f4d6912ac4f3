/// Where a listener binds: `HOST:PORT`, with IPv6 hosts in brackets (`[::1]:8400`). Port 0 takes any free port.
package struct BindAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or a literal address, without brackets.
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; nil when the text has another form.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        guard let host = Self.host(in: text[..<colon]) else { return nil }
        self.init(host: host, port: port)
    }

    private static func host(in text: some StringProtocol) -> String? {
        if text.hasPrefix("[") {
            guard text.hasSuffix("]") else { return nil }
            let inner = text.dropFirst().dropLast()
            return inner.contains(":") ? String(inner) : nil
        }
        // A bare colon would make `::1:8400` ambiguous, so IPv6 needs its brackets.
        let isHost = text.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: ":") && byte != UInt8(ascii: "/")
        }
        return isHost && !text.isEmpty ? String(text) : nil
    }

    /// The form that ``init(_:)`` reads.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why a listener could not start.
package enum ListenerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The port belongs to somebody else.
    case addressInUse(BindAddress)
    /// A port below 1024 without the right to bind it.
    case notPermitted(BindAddress)
    case unknownHost(BindAddress)
    /// The path of a Unix socket, and why it cannot be used.
    case unusablePath(String, String)
    case failed(BindAddress, String)

    package var description: String {
        switch self {
        case .addressInUse(let address): "\(address) is already in use"
        case .notPermitted(let address): "not permitted to bind \(address)"
        case .unknownHost(let address): "cannot resolve the host of \(address)"
        case .unusablePath(let path, let reason): "cannot bind unixgram:\(path): \(reason)"
        case .failed(let address, let reason): "cannot bind \(address): \(reason)"
        }
    }

    /// Sorts the errno of a failed socket or bind call.
    static func bind(_ address: BindAddress, errno code: Int32, _ reason: @autoclosure () -> String) -> ListenerError {
        switch code {
        case 98: .addressInUse(address)  // EADDRINUSE
        case 13, 1: .notPermitted(address)  // EACCES, EPERM
        default: .failed(address, reason())
        }
    }
}
