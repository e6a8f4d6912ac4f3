/// What a datagram listener has counted since it was bound.
package struct DatagramCounts: Hashable, Sendable {
    package var received: UInt64 = 0
    /// Longer than `Limits.datagramBytes`; dropped.
    package var truncated: UInt64 = 0
    /// Dropped by the kernel because the socket's buffer was full.
    package var droppedByKernel: UInt64 = 0
    /// Bytes of receive buffer that the kernel granted, of all sockets; 0 where the buffer is the sender's.
    package var receiveBufferBytes: UInt64 = 0

    package init() {}
}

/// Receives datagrams from its creation to ``stop()``.
package protocol DatagramListener: AnyObject, Sendable {
    var counts: DatagramCounts { get }

    /// Stops receiving and returns when all threads have ended, each after a last tick.
    func stop()
}
