import NIOCore
import NIOHPACK

/// An HTTP/2 client that sends exactly the frames it is told to.
final class HTTP2RawConnection {
    struct Frame {
        var kind: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        /// Of RST_STREAM and GOAWAY.
        var errorCode: UInt32 {
            let bytes = kind == HTTP2RawConnection.goAway ? payload.dropFirst(4) : payload[...]
            return bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        }
        var endsStream: Bool { kind <= HTTP2RawConnection.headers && flags & 1 != 0 }
    }

    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let continuation: UInt8 = 9
    static let preface =
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(settings, 0, 0, [])

    let raw: RawConnection
    private var buffer: [UInt8] = []
    private var decoder = HPACKDecoder(allocator: ByteBufferAllocator())

    init(_ raw: RawConnection) throws {
        self.raw = raw
        try raw.send(Self.preface)
    }

    static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        bigEndian(UInt32(payload.count)).dropFirst() + [kind, flags] + bigEndian(stream) + payload
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }

    /// A header block of literals, without Huffman coding and without the table.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        func text(_ text: String) -> [UInt8] {
            var rest = text.utf8.count
            if rest < 127 { return [UInt8(rest)] + text.utf8 }
            var length: [UInt8] = [127]
            rest -= 127
            while rest >= 128 {
                length.append(UInt8(rest % 128) | 128)
                rest /= 128
            }
            return length + [UInt8(rest)] + text.utf8
        }
        return fields.flatMap { [0] + text($0.0) + text($0.1) }
    }

    /// The headers of a call.
    static func call(
        _ path: String, method: String = "POST", type: String = "application/grpc", _ more: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), ("content-type", type)] + more
    }

    static func message(_ bytes: [UInt8], flag: UInt8 = 0, length: Int? = nil) -> [UInt8] {
        [flag] + bigEndian(UInt32(length ?? bytes.count)) + bytes
    }

    func send(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) throws {
        try raw.send(Self.frame(kind, flags, stream, payload))
    }

    /// Sends a whole call.
    func call(_ path: String, _ body: [UInt8], on stream: UInt32, _ more: [(String, String)] = []) throws {
        try send(Self.headers, 4, stream, Self.block(Self.call(path, more)))
        try send(Self.data, 1, stream, Self.message(body))
    }

    /// The next frame; nil when the peer closed.
    func next() throws -> Frame? {
        while true {
            if buffer.count >= 9 {
                let length = Int(buffer[0]) << 16 | Int(buffer[1]) << 8 | Int(buffer[2])
                if buffer.count >= 9 + length {
                    let stream = buffer[5..<9].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
                    let frame = Frame(
                        kind: buffer[3], flags: buffer[4], stream: stream, payload: Array(buffer[9..<9 + length]))
                    buffer.removeFirst(9 + length)
                    return frame
                }
            }
            let more = try raw.receive()
            if more.isEmpty { return nil }
            buffer += more
        }
    }

    /// The next frame of a kind, those before it dropped.
    func next(_ kind: UInt8) throws -> Frame? {
        while let frame = try next() {
            if frame.kind == kind { return frame }
        }
        return nil
    }

    /// What came on streams, until all of `streams` have ended or the peer closed.
    func replies(_ streams: [UInt32]) throws -> [UInt32: Reply] {
        var replies: [UInt32: Reply] = [:]
        var open = Set(streams)
        while !open.isEmpty, let frame = try next() {
            switch frame.kind {
            case Self.headers:
                for (name, value) in try fields(frame) { replies[frame.stream, default: Reply()].fields[name] = value }
            case Self.data: replies[frame.stream, default: Reply()].body += frame.payload
            case Self.reset: replies[frame.stream, default: Reply()].reset = frame.errorCode
            default: continue
            }
            if frame.endsStream || frame.kind == Self.reset { open.remove(frame.stream) }
        }
        return replies
    }

    func reply(_ stream: UInt32) throws -> Reply { try replies([stream])[stream] ?? Reply() }

    private func fields(_ frame: Frame) throws -> [(String, String)] {
        var block = ByteBuffer(bytes: frame.payload)
        return try decoder.decodeHeaders(from: &block).map { ($0.name, $0.value) }
    }

    struct Reply {
        var fields: [String: String] = [:]
        var body: [UInt8] = []
        var reset: UInt32?

        var status: String { fields["grpc-status"] ?? "" }
        var text: String { String(decoding: body.dropFirst(5), as: UTF8.self) }
    }
}
