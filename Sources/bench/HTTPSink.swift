internal import Glibc
internal import Synchronization

/// A server that reads request bodies, sums every byte and answers 200: the floor of ingest, and the recorder.
final class HTTPSink: Sendable {
    let socket: LoopbackSocket
    private let keep: Bool
    private let kept = Mutex<[[UInt8]]>([])
    private let sum = Atomic<UInt64>(0)

    /// - Parameter keep: Whether bodies are kept for ``bodies``.
    init(keep: Bool) throws {
        self.keep = keep
        socket = try LoopbackSocket(bound: SOCK_STREAM)
    }

    var bodies: [[UInt8]] { kept.withLock { $0 } }
    var bodyCount: Int { kept.withLock { $0.count } }

    /// Prints its port as a ready line and serves until it is killed.
    func serveForever() throws {
        print("sink ready http=127.0.0.1:\(socket.port)")
        fflush(nil)
        serve()
    }

    /// Accepts on a thread of its own.
    func start() throws { try startThread { self.serve() } }

    private func serve() {
        while true {
            let descriptor = accept(socket.descriptor, nil, nil)
            guard descriptor >= 0 else { return }
            let connection = LoopbackSocket(descriptor: descriptor)
            try? startThread { self.serve(connection) }
        }
    }

    private func serve(_ connection: LoopbackSocket) {
        defer { connection.close() }
        var reader = HTTPMessageReader(connection)
        let reply = Array(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n".utf8)
        while true {
            let body = try? reader.next { _, body in
                var total: UInt64 = 0
                for byte in body { total &+= UInt64(byte) }
                sum.add(total, ordering: .relaxed)
                return keep ? Array(body) : []
            }
            guard let body else { return }
            if keep { kept.withLock { $0.append(body) } }
            guard (try? connection.send(reply)) != nil else { return }
        }
    }
}

/// Runs `body` on a new detached thread.
func startThread(_ body: @escaping @Sendable () -> Void) throws {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(body))
    let code = pthread_create(
        &thread, nil,
        { argument in
            if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
            return nil
        }, box.toOpaque())
    guard code == 0 else {
        box.release()
        throw CallFailure(call: "pthread_create")
    }
    pthread_detach(thread)
}
