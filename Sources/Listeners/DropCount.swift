/// A socket's count of dropped datagrams, carried over from the kernel's 32-bit counter, which wraps.
package struct DropCount: Hashable {
    package private(set) var total: UInt64

    package init(total: UInt64 = 0) { self.total = total }

    /// Takes a reading. The one that comes with a datagram (SO_RXQ_OVFL) is as old as the datagram, and may be behind
    /// the one that the socket tells (SO_MEMINFO): an older reading changes nothing.
    /// - Returns: by how much the count has grown.
    package mutating func advance(to reading: UInt32) -> UInt64 {
        let step = reading &- UInt32(truncatingIfNeeded: total)
        guard step < 1 << 31 else { return 0 }
        total &+= UInt64(step)
        return UInt64(step)
    }
}
