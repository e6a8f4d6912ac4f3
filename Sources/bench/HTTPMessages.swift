internal import Glibc

/// As much of HTTP/1.1 as a load generator needs: messages with a Content-Length, one after another.
struct HTTPMessageReader {
    private let socket: LoopbackSocket
    private var buffer = [UInt8](repeating: 0, count: 256 << 10)
    /// The bytes received and not yet used lie in `start..<end`.
    private var start = 0
    private var end = 0

    init(_ socket: LoopbackSocket) { self.socket = socket }

    /// Reads one message and hands its first line and body to `use`; nil when the peer closed.
    mutating func next<Result>(_ use: (String, UnsafeRawBufferPointer) -> Result) throws -> Result? {
        var headerEnd = endOfHeaders(from: start)
        while headerEnd == nil {
            let searched = max(start, end - 3)
            guard try fill() else { return nil }
            headerEnd = endOfHeaders(from: min(searched, start))
        }
        guard let bodyStart = headerEnd else { return nil }
        let head = String(decoding: buffer[start..<bodyStart], as: UTF8.self)
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: true)
        let length = lines.lazy.compactMap(contentLength).first ?? 0
        var bodyOffset = bodyStart - start
        while end - start < bodyOffset + length {
            guard try fill(wanting: bodyOffset + length) else { return nil }
        }
        bodyOffset += start
        defer {
            start = bodyOffset + length
            if start == end { (start, end) = (0, 0) }
        }
        let first = String(lines.first ?? "")
        return buffer.withUnsafeBytes {
            use(first, UnsafeRawBufferPointer(rebasing: $0[bodyOffset..<bodyOffset + length]))
        }
    }

    /// Receives more; moves and grows the buffer when it has to. False at the end of the stream.
    private mutating func fill(wanting total: Int = 0) throws -> Bool {
        if start > 0, buffer.count - end < 64 << 10 || buffer.count - start < total {
            buffer.withUnsafeMutableBytes { memory in
                if let base = memory.baseAddress { memmove(base, base + start, end - start) }
            }
            (start, end) = (0, end - start)
        }
        let needed = max(total, end + (64 << 10))
        if buffer.count < needed { buffer.append(contentsOf: repeatElement(0, count: needed - buffer.count)) }
        let count = buffer.withUnsafeMutableBytes { memory in
            recv(socket.descriptor, memory.baseAddress.map { $0 + end }, memory.count - end, 0)
        }
        guard count >= 0 else { throw CallFailure(call: "recv") }
        end += count
        return count > 0
    }

    private func endOfHeaders(from first: Int) -> Int? {
        var index = first
        while index + 4 <= end {
            if buffer[index] == 13, buffer[index + 1] == 10, buffer[index + 2] == 13, buffer[index + 3] == 10 {
                return index + 4
            }
            index += 1
        }
        return nil
    }
}

private func contentLength(_ line: Substring) -> Int? {
    guard line.lowercased().hasPrefix("content-length:") else { return nil }
    return Int(line.dropFirst(15).filter { $0 != " " })
}

/// One keep-alive connection that sends a request and waits for its reply.
struct HTTPConnection {
    private let socket: LoopbackSocket
    private var reader: HTTPMessageReader

    init(port: UInt16) throws {
        socket = try LoopbackSocket(connected: SOCK_STREAM, port: port)
        reader = HTTPMessageReader(socket)
    }

    /// Sends and returns (status, body).
    mutating func exchange(
        _ method: String, _ path: String, contentType: String = "", acceptEncoding: String = "", token: String = "",
        body: [UInt8] = []
    ) throws -> (status: Int, body: [UInt8]) {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n"
        if !contentType.isEmpty { head += "Content-Type: \(contentType)\r\n" }
        if !acceptEncoding.isEmpty { head += "Accept-Encoding: \(acceptEncoding)\r\n" }
        if !token.isEmpty { head += "Authorization: Bearer \(token)\r\n" }
        try socket.send(Array((head + "\r\n").utf8))
        if !body.isEmpty { try socket.send(body) }
        let reply = try reader.next { first, body in
            (status: first.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0, body: Array(body))
        }
        guard let reply else { throw CallFailure(call: "reply to \(path)") }
        return reply
    }

    func close() { socket.close() }
}
