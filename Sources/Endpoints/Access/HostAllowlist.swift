/// The names by which a listener may be spoken to.
///
/// A page of a foreign site can make its own name point at 127.0.0.1 and would then be of one origin with the daemon
/// (DNS rebinding). It cannot make the browser send another `Host` than its own name, so that name is refused here.
/// Addresses need no permission: a site that is reached by an address is no foreign one.
package struct HostAllowlist: Hashable, Sendable {
    private let names: Set<String>

    /// - Parameter names: names besides `localhost`, without ports.
    package init(_ names: some Sequence<String>) {
        self.names = Set(names.map { $0.lowercased() } + ["localhost"])
    }

    /// - Parameter host: the value of a `Host` header, with or without a port.
    func permits(_ host: String) -> Bool {
        guard let name = Self.name(in: host.lowercased()) else { return false }
        if name.hasPrefix("[") { return Self.isIPv6(name.dropFirst().dropLast()) }
        let bare = name.hasSuffix(".") ? name.dropLast() : name
        return Self.isIPv4(bare) || names.contains(String(bare)) || bare.hasSuffix(".localhost")
    }

    /// What stands before the port; nil when there is something else than a port behind it.
    private static func name(in host: String) -> Substring? {
        let end =
            host.hasPrefix("[") ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
        guard let end else { return host.hasPrefix("[") || host.isEmpty ? nil : host[...] }
        let port = host[end...].dropFirst()
        let isPort = host[end...].isEmpty || host[end] == ":" && port.utf8.allSatisfy { (48...57).contains($0) }
        return isPort && end > host.startIndex ? host[..<end] : nil
    }

    private static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (48...57).contains($0) }
                    && UInt8(part) != nil
            }
    }

    private static func isIPv6(_ text: Substring) -> Bool {
        text.utf8.count >= 2 && text.contains(":")
            && text.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (97...102).contains(byte) || byte == UInt8(ascii: ":")
                    || byte == UInt8(ascii: ".")
            }
    }
}
