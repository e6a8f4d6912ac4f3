internal import Glibc

/// Standard output for data, standard error for everything else.
///
/// Data is gathered and written in large pieces. When the reader has gone (`crest search | head -1`), the program
/// ends quietly with 0: whoever read had enough.
struct Output: ~Copyable {
    private static let pieceBytes = 64 * 1_024
    private var pending: [UInt8] = []

    init() {}

    mutating func line(_ text: String) {
        pending.append(contentsOf: text.utf8)
        pending.append(0x0A)
        if pending.count >= Self.pieceBytes { flush() }
    }

    mutating func flush() {
        Self.write(pending, to: STDOUT_FILENO)
        pending.removeAll(keepingCapacity: true)
    }

    /// One line on standard error.
    static func note(_ text: String) {
        write(Array((text + "\n").utf8), to: STDERR_FILENO)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, -1)
            } else if errno != EINTR {
                giveUp(errno, descriptor)
                return
            }
        }
    }

    /// A lost reader is no failure; a full disk behind `crest ... > file` is.
    private static func giveUp(_ error: Int32, _ descriptor: Int32) {
        guard descriptor == STDOUT_FILENO else { return }
        if error == EPIPE { exit(0) }
        note("crest: cannot write the output: \(String(cString: strerror(error)))")
        exit(1)
    }
}
