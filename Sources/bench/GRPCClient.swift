internal import Glibc

/// As much of gRPC over HTTP/2 as a load generator needs: unary calls, one after another, within the peer's windows.
struct GRPCClient {
    private let socket: LoopbackSocket
    private var received: [UInt8] = []
    private var connectionWindow = 65_535
    private var streamWindow = 65_535
    private var frameBytes = 16_384
    private var stream: UInt32 = 1

    private enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
    }

    init(port: UInt16) throws {
        socket = try LoopbackSocket(connected: SOCK_STREAM, port: port)
        try socket.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(Kind.settings, 0, 0, []))
    }

    /// Calls `path` with one message; true when the answer is OK, false when the server refused.
    mutating func call(_ path: String, _ message: [UInt8]) throws -> Bool {
        let id = stream
        stream += 2
        var window = streamWindow
        let fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "bench"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ]
        var out = frame(Kind.headers, 4, id, fields.flatMap { [0] + text($0) + text($1) })
        let body = [0] + bigEndian(UInt32(message.count)) + message
        var sent = 0
        while sent < body.count {
            let count = min(body.count - sent, frameBytes, connectionWindow, window)
            if count <= 0 {
                try socket.send(out)
                out = []
                let frame = try next()
                if frame.kind == Kind.windowUpdate, frame.stream == id { window += number(frame.payload, 0) }
                continue
            }
            let isLast = sent + count == body.count
            out += frame(Kind.data, isLast ? 1 : 0, id, body[sent..<sent + count])
            sent += count
            connectionWindow -= count
            window -= count
        }
        try socket.send(out)
        return try outcome(of: id)
    }

    /// Only an answer that is OK has a message.
    private mutating func outcome(of id: UInt32) throws -> Bool {
        var hasMessage = false
        while true {
            let frame = try next()
            guard frame.stream == id else { continue }
            switch frame.kind {
            case Kind.data: hasMessage = true
            case Kind.reset: return false
            default: break
            }
            if frame.kind <= Kind.headers, frame.flags & 1 != 0 { return hasMessage }
        }
    }

    private typealias Frame = (kind: UInt8, flags: UInt8, stream: UInt32, payload: ArraySlice<UInt8>)

    /// The next frame; those that concern the connection have been obeyed.
    private mutating func next() throws -> Frame {
        while received.count < 9 || received.count < 9 + length { try fill() }
        let payload = received[9..<9 + length]
        let frame: Frame = (received[3], received[4], UInt32(number(received[5...], 0) & 0x7FFF_FFFF), payload)
        received.removeFirst(9 + length)
        switch frame.kind {
        case Kind.settings where frame.flags & 1 == 0: try apply(frame.payload)
        case Kind.ping where frame.flags & 1 == 0: try socket.send(self.frame(Kind.ping, 1, 0, frame.payload))
        case Kind.windowUpdate where frame.stream == 0: connectionWindow += number(frame.payload, 0)
        case Kind.goAway: throw ReplayFailure(text: "the server says goodbye, code \(number(frame.payload, 4))")
        default: break
        }
        return frame
    }

    private var length: Int { Int(received[0]) << 16 | Int(received[1]) << 8 | Int(received[2]) }

    private mutating func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(socket.descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { throw CallFailure(call: "recv") }
        received += chunk[..<count]
    }

    private mutating func apply(_ settings: ArraySlice<UInt8>) throws {
        for start in stride(from: settings.startIndex, to: settings.endIndex - 5, by: 6) {
            let value = number(settings[start...], 2)
            switch Int(settings[start]) << 8 | Int(settings[start + 1]) {
            case 4: streamWindow = value
            case 5: frameBytes = value
            default: break
            }
        }
        try socket.send(frame(Kind.settings, 1, 0, []))
    }

    private func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: some Collection<UInt8>) -> [UInt8] {
        bigEndian(UInt32(payload.count)).dropFirst() + [kind, flags] + bigEndian(stream) + payload
    }

    /// A literal of HPACK without Huffman coding, shorter than 127 bytes.
    private func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + text.utf8 }

    private func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }

    private func number(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> Int {
        bytes.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    func close() { socket.close() }
}
