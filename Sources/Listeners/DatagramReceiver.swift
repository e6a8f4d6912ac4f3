/// Takes the datagrams of one socket, or blocks of whole lines. Created, used and destroyed on one thread.
package protocol DatagramReceiver {
    /// One datagram, borrowed for the call.
    mutating func receive(_ datagram: UnsafeRawBufferPointer)

    /// Called about four times a second while datagrams come or ``isPending`` says so, and otherwise rarely.
    mutating func tick()

    /// Called when no datagram waits in the socket, before the thread sleeps.
    /// - Returns: whether it must be called again within milliseconds; ``isPending`` is true then, too.
    mutating func settle() -> Bool

    /// True when something received waits for a later ``tick()``.
    var isPending: Bool { get }
}

extension DatagramReceiver {
    package mutating func settle() -> Bool { false }
}
