package import Listeners

/// The value of a listener's setting: an address, or `off`. StatsD also takes `unixgram:PATH` and `tcp:HOST:PORT`.
package enum ListenerAddress: Hashable, Sendable, CustomStringConvertible {
    case off
    case internet(BindAddress)
    case unixDatagram(path: String)
    case stream(BindAddress)

    /// - Parameter allowsSchemes: also the forms that only StatsD takes.
    package init?(_ text: String, allowsSchemes: Bool = false) {
        if text == "off" {
            self = .off
        } else if allowsSchemes, let path = text.suffix(after: "unixgram:") {
            // The kernel's limit of a socket path is 108 bytes with its final zero.
            guard (1..<108).contains(path.utf8.count) else { return nil }
            self = .unixDatagram(path: path)
        } else if allowsSchemes, let rest = text.suffix(after: "tcp:") {
            guard let address = BindAddress(rest) else { return nil }
            self = .stream(address)
        } else {
            guard let address = BindAddress(text) else { return nil }
            self = .internet(address)
        }
    }

    package var description: String {
        switch self {
        case .off: "off"
        case .internet(let address): "\(address)"
        case .unixDatagram(let path): "unixgram:\(path)"
        case .stream(let address): "tcp:\(address)"
        }
    }

    /// True when other machines could reach it.
    package var isRemote: Bool {
        switch self {
        case .off, .unixDatagram: false
        case .internet(let address), .stream(let address): !address.isLoopback
        }
    }
}

extension BindAddress {
    /// True for 127.0.0.0/8, `::1` and the name `localhost`.
    var isLoopback: Bool {
        if host == "::1" || host.lowercased() == "localhost" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
