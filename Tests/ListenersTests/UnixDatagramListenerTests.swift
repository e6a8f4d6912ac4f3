import CLinux
import Glibc
import Listeners
import Synchronization
import Telemetry
import Testing

@Suite struct UnixDatagramListenerTests {
    private final class Seen: Sendable {
        let lengths = Mutex<[Int]>([])
    }

    private struct Receiver: DatagramReceiver {
        let seen: Seen
        var isPending: Bool { false }
        mutating func receive(_ datagram: UnsafeRawBufferPointer) {
            seen.lengths.withLock { $0.append(datagram.count) }
        }
        mutating func tick() {}
    }

    private func listener(_ path: String, _ ledger: Ledger, _ seen: Seen = Seen()) throws -> UnixDatagramListener {
        try UnixDatagramListener(path: path, ledger: ledger) { Receiver(seen: seen) }
    }

    private func send(_ lengths: [Int], to path: String) throws {
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var room: CInt = 1 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
        guard clinux_unix_connect(descriptor, path) == 0 else { throw SocketFailure(call: "connect", code: errno) }
        for length in lengths {
            let bytes = [UInt8](repeating: 120, count: length)
            guard Glibc.send(descriptor, bytes, length, 0) == length else {
                throw SocketFailure(call: "send", code: errno)
            }
        }
    }

    private func path() throws -> String {
        var template = Array("/tmp/crest-unix-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SocketFailure(call: "mkdtemp", code: errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/statsd.sock"
    }

    @Test("Datagrams arrive whole up to the limit, longer ones are counted as truncated", arguments: [false, true])
    func receives(isAbstract: Bool) throws {
        let path = isAbstract ? "@crest-test-\(getpid())" : try path()
        let (seen, ledger) = (Seen(), Ledger())
        let listener = try listener(path, ledger, seen)
        try send([1, 1_000, Limits.datagramBytes, Limits.datagramBytes + 1, 100_000, 7], to: path)
        #expect(eventually { listener.counts.received == 6 })
        listener.stop()
        #expect(seen.lengths.withLock { $0 } == [1, 1_000, Limits.datagramBytes, 7])
        #expect(listener.counts.truncated == 2)
        #expect(ledger.datagramsReceived.load(ordering: .relaxed) == 6)
        #expect(ledger.datagramsHandled.load(ordering: .relaxed) == 4)
        #expect(ledger.datagramsTruncated.load(ordering: .relaxed) == 2)
        // An abstract name lives as long as the socket does.
        if !isAbstract { #expect(throws: (any Error).self) { try send([1], to: path) } }
    }

    @Test("The file is open to all users and goes with the listener")
    func file() throws {
        let path = try path()
        let listener = try listener(path, Ledger())
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o666)
        listener.stop()
        #expect(lstat(path, &status) == -1)
    }

    @Test("A file that a crash left is replaced, a live one and anything else is not")
    func stale() throws {
        let path = try path()
        let left = clinux_unix_socket()
        #expect(clinux_unix_bind(left, path) == 0)
        #expect(throws: ListenerError.unusablePath(path, "another process listens there")) {
            try listener(path, Ledger())
        }
        close(left)
        let owner = try listener(path, Ledger())
        #expect(throws: ListenerError.self) { try listener(path, Ledger()) }
        // Another's file under the same name survives the stop.
        unlink(path)
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        owner.stop()
        #expect(access(path, F_OK) == 0)
        #expect(throws: ListenerError.unusablePath(path, "there is something else than a socket")) {
            try listener(path, Ledger())
        }
        #expect(throws: ListenerError.self) { try listener("/nowhere/at/all", Ledger()) }
    }
}
