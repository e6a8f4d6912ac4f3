internal import CLinux
internal import Glibc
package import Telemetry

/// Datagrams on a socket of the Unix domain. The kernel drops nothing here: a sender waits while the queue is full.
package final class UnixDatagramListener: DatagramListener {
    /// A path, or an abstract name after `@`.
    package let path: String
    private let socket: DatagramSocket
    private let thread: NativeThread
    private let file: SocketFile?

    /// Binds and starts to receive. A socket file that nobody holds any more is replaced; anything else there is not.
    /// Every user of the machine may send, as over loopback.
    /// - Parameters:
    ///   - ledger: its datagram terms are counted here.
    ///   - makeReceiver: called once, on the listener's thread.
    package init<Receiver: DatagramReceiver & SendableMetatype>(
        path: String, ledger: Ledger, makeReceiver: @escaping @Sendable () -> Receiver
    ) throws(ListenerError) {
        let descriptor = clinux_unix_socket()
        guard descriptor >= 0 else { throw .unusablePath(path, errorText(-descriptor)) }
        do throws(ListenerError) {
            file = try Self.bind(descriptor, to: path)
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        let socket = DatagramSocket(adopting: descriptor, receiveBufferBytes: 0)
        self.socket = socket
        thread = NativeThread(name: "unixgram") {
            var receiver = makeReceiver()
            socket.run(&receiver, ledger: ledger)
        }
    }

    /// - Returns: the file that came to be; nil for an abstract name.
    private static func bind(_ descriptor: CInt, to path: String) throws(ListenerError) -> SocketFile? {
        if path.hasPrefix("@") {
            let code = clinux_unix_bind(descriptor, path)
            guard code == 0 else { throw .unusablePath(path, errorText(-code)) }
            return nil
        }
        try SocketFile.removeStale(path)
        let code = clinux_unix_bind(descriptor, path)
        guard code == 0 else { throw .unusablePath(path, errorText(-code)) }
        guard chmod(path, 0o666) == 0, let file = SocketFile(path) else {
            throw .unusablePath(path, errorText(errno))
        }
        return file
    }

    package func stop() {
        // The name goes first: who sends from here on hears at once that nobody listens.
        file?.remove()
        socket.stop()
        thread.join()
    }

    package var counts: DatagramCounts {
        var counts = DatagramCounts()
        socket.addCounts(to: &counts)
        return counts
    }
}

/// A socket's file, known by its inode so that another's of the same name is left alone.
private struct SocketFile: Hashable {
    private let path: String
    private let device: dev_t
    private let inode: ino_t

    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = status.st_dev
        inode = status.st_ino
    }

    func remove() {
        if SocketFile(path) == self { unlink(path) }
    }

    /// Removes the file of a socket whose owner is gone, as a crash leaves it.
    static func removeStale(_ path: String) throws(ListenerError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .unusablePath(path, "there is something else than a socket")
        }
        let probe = clinux_unix_socket()
        guard probe >= 0 else { throw .unusablePath(path, errorText(-probe)) }
        defer { close(probe) }
        let code = clinux_unix_connect(probe, path)
        // Only a refusal says that nobody holds it; a socket of another type (EPROTOTYPE) has an owner.
        guard code == -ECONNREFUSED else { throw .unusablePath(path, "another process listens there") }
        unlink(path)
    }
}

private func errorText(_ code: CInt) -> String {
    guard let text = strerror(code) else { return "errno \(code)" }
    return String(cString: text)
}
