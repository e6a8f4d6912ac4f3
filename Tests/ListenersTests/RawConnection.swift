import Glibc

/// A blocking TCP client that sends exactly the bytes it is given. Reads give up after ten seconds.
final class RawConnection {
    private let descriptor: CInt
    /// Kept alive as long as the connection.
    private let owner: AnyObject?

    /// - Parameter source: loopback address of the client, in host order; 0: any.
    init(port: UInt16, from source: UInt32 = 0, owner: AnyObject? = nil) throws {
        self.owner = owner
        descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        if source != 0 {
            try loopback(0, source) { address, length in
                if bind(descriptor, address, length) != 0 { throw SocketFailure(call: "bind", code: errno) }
            }
        }
        try loopback(port) { address, length in
            if connect(descriptor, address, length) != 0 { throw SocketFailure(call: "connect", code: errno) }
        }
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var offset = 0
        while offset < bytes.count {
            let sent = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + offset }, bytes.count - offset, CInt(MSG_NOSIGNAL))
            }
            if sent <= 0 { throw SocketFailure(call: "send", code: errno) }
            offset += sent
        }
    }

    /// Tells the peer that no more comes, and goes on reading.
    func finishSending() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// The bytes that come next; none when the peer closed.
    func receive() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0 { throw SocketFailure(call: "recv", code: errno) }
        return Array(buffer[..<count])
    }

    /// What comes until `isEnough` says so or the peer closes.
    func read(until isEnough: (String) -> Bool) throws -> String {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while !isEnough(String(decoding: all, as: UTF8.self)) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 { throw SocketFailure(call: "recv", code: errno) }
            if count == 0 { break }
            all += buffer[..<count]
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Everything until the peer closes.
    func readToEnd() throws -> String { try read { _ in false } }

    /// Responses one after the other, each with its head and as many body bytes as it announces.
    func readResponses(_ count: Int) throws -> [RawResponse] {
        var found: [RawResponse] = []
        _ = try read { text in
            found = RawResponse.parse(text)
            return found.count >= count
        }
        return found
    }

    func readResponse() throws -> RawResponse {
        guard let response = try readResponses(1).first else { throw SocketFailure(call: "no response", code: 0) }
        return response
    }
}

struct SocketFailure: Error {
    let call: String
    let code: Int32
}

/// One response as it came, bodies taken as text.
struct RawResponse: Equatable {
    var status: Int
    var headers: [String: String]
    var body: String

    static func parse(_ text: String) -> [RawResponse] {
        var rest = Substring(text)
        var responses: [RawResponse] = []
        while let end = rest.range(of: "\r\n\r\n") {
            let lines = rest[..<end.lowerBound].split(separator: "\r\n")
            let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
            }
            let length = headers["content-length"].flatMap { Int($0) } ?? 0
            let tail = rest[end.upperBound...]
            guard tail.utf8.count >= length else { break }
            let body = String(decoding: tail.utf8.prefix(length), as: UTF8.self)
            responses.append(RawResponse(status: status, headers: headers, body: body))
            rest = Substring(String(decoding: tail.utf8.dropFirst(length), as: UTF8.self))
        }
        return responses
    }
}

extension Substring {
    fileprivate func range(of needle: String) -> Range<Index>? {
        let pattern = Array(needle.utf8)
        var index = utf8.startIndex
        while index < utf8.endIndex {
            if utf8[index...].starts(with: pattern) { return index..<utf8.index(index, offsetBy: pattern.count) }
            utf8.formIndex(after: &index)
        }
        return nil
    }
}

/// Sends one datagram to a loopback port.
func sendDatagram(_ bytes: [UInt8], port: UInt16) throws {
    let descriptor = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    try loopback(port) { address, length in
        if sendto(descriptor, bytes, bytes.count, 0, address, length) != bytes.count {
            throw SocketFailure(call: "sendto", code: errno)
        }
    }
}

func loopback<Result>(
    _ port: UInt16, _ host: UInt32 = 0x7F00_0001, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
) throws -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = host.bigEndian
    return try withUnsafePointer(to: &address) { pointer in
        try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// Waits until `condition` holds; false after ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
        if condition() { return true }
        usleep(1_000)
    }
    return condition()
}
