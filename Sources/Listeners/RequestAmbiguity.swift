internal import NIOHTTP1

/// What the parser lets through and another parser in front of us could read in another way.
extension HTTPRequestHead {
    /// Why the request is refused; nil: there is one way to read it.
    var ambiguity: String? { framingAmbiguity ?? hostAmbiguity ?? targetAmbiguity }

    /// An offer to go on in another protocol. It is not taken, but the parser reads nothing behind it.
    var offersUpgrade: Bool {
        headers.contains(name: "upgrade")
            && headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
    }

    private var isOld: Bool { version.major < 1 || version.major == 1 && version.minor < 1 }

    private var framingAmbiguity: String? {
        let encodings = headers["transfer-encoding"]
        guard !encodings.isEmpty else { return nil }
        guard encodings.count == 1, encodings[0].lowercased() == "chunked" else {
            return "the only transfer encoding is chunked, once"
        }
        if headers.contains(name: "content-length") { return "a length and a transfer encoding" }
        return isOld ? "a transfer encoding before HTTP/1.1" : nil
    }

    private var hostAmbiguity: String? {
        switch headers["host"].count {
        case 0: isOld ? nil : "no host"
        case 1: nil
        default: "more than one host"
        }
    }

    private var targetAmbiguity: String? {
        if method == .CONNECT { return "no tunnels here" }
        if uri.utf8.contains(where: { $0 <= 32 || $0 == 127 }) { return "blanks or control characters in the target" }
        if uri.hasPrefix("/") { return nil }
        let lower = uri.lowercased()
        for scheme in ["http://", "https://"] where lower.hasPrefix(scheme) {
            let authority = lower.dropFirst(scheme.utf8.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            if headers.first(name: "host")?.lowercased() != String(authority) { return "the target has another host" }
        }
        return nil
    }
}
