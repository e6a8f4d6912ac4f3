internal import CLinux

/// The receive buffer of a socket: what was asked of the kernel and what it granted.
package struct ReceiveBuffer: Hashable, Sendable {
    /// Bytes asked for; the kernel reserves twice as many, for its own records.
    package var askedBytes: Int
    /// Bytes the kernel reserves, as SO_RCVBUF tells.
    package var grantedBytes: Int

    /// `net.core.rmem_max` was in the way, and the process may not go beyond it.
    package var isClipped: Bool { askedBytes > 0 && grantedBytes / 2 < askedBytes }

    /// The line to run for the whole of what was asked.
    package var remedy: String { "sysctl -w net.core.rmem_max=\(askedBytes)" }

    package init(askedBytes: Int, grantedBytes: Int) {
        self.askedBytes = askedBytes
        self.grantedBytes = grantedBytes
    }

    /// Asks; beyond `net.core.rmem_max` where the process has the right to.
    init(asking bytes: Int, of descriptor: CInt) {
        let granted = clinux_set_receive_buffer(descriptor, CInt(clamping: bytes))
        self.init(askedBytes: bytes, grantedBytes: Int(max(granted, 0)))
    }
}
