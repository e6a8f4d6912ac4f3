internal import Glibc

/// One keep-alive connection of the load generator, which has at most one request under way.
final class LoadConnection {
    enum State {
        case connecting
        case free
        case busy
        /// Was told to come again and waits until then.
        case pausing
        case closed
    }

    let source: Int
    /// Of the whole generator; goes into its events.
    let index: Int
    let address: UInt32
    var descriptor: Int32 = -1
    var state = State.closed
    var number = 0
    var due = 0.0
    var sentAt = 0.0
    /// The rest of a request that the socket did not take at once.
    private var rest: [UInt8] = []
    private var restStart = 0
    private var reply: [UInt8] = []
    private var received = 0
    /// The answer came before the request was out.
    var isAnswered = false
    /// Monotonic seconds at which a refused request goes out again.
    var pausesUntil: Double?

    init(source: Int, index: Int, address: UInt32) {
        self.source = source
        self.index = index
        self.address = address
        reply = [UInt8](repeating: 0, count: 8 << 10)
    }

    var isSending: Bool { restStart < rest.count }

    func forget() {
        rest = []
        restStart = 0
        received = 0
        isAnswered = false
    }

    /// - Returns: false when the connection is broken.
    func start(_ bytes: UnsafeRawBufferPointer) -> Bool {
        forget()
        let count = write(bytes)
        guard count >= 0 else { return false }
        if count < bytes.count { rest = Array(bytes[count...]) }
        return true
    }

    /// Sends more of the request. False when the connection is broken.
    func goOn() -> Bool {
        let count = rest.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[restStart...])) }
        guard count >= 0 else { return false }
        restStart += count
        if restStart == rest.count { (rest, restStart) = ([], 0) }
        return true
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        return count >= 0 || (errno != EAGAIN && errno != EINTR) ? count : 0
    }

    enum Reading {
        case more
        case broken
        case reply(LoadReply)
    }

    /// Reads what there is of the answer.
    func readReply() -> Reading {
        if received == reply.count { return .broken }
        let count = reply.withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress.map { $0 + received }, $0.count - received, Int32(MSG_DONTWAIT))
        }
        if count < 0, errno == EAGAIN || errno == EINTR { return .more }
        guard count > 0 else { return .broken }
        received += count
        guard let parsed = LoadReply(reply[..<received]) else { return .more }
        received = 0
        return .reply(parsed)
    }
}

/// What the generator wants to know of an HTTP/1.1 response.
struct LoadReply {
    var status = 0
    var closes = false
    var retryAfter: Double?
    /// Spans that the answer says were not taken, by a partial success or `crest-shed`.
    var rejectedSpans = 0

    /// Nil while the response is not whole.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let end = Self.endOfHead(bytes) else { return nil }
        var length = 0
        var lineStart = 9
        for index in 9..<end where bytes[index] == 13 {
            let line = bytes[lineStart..<index]
            if lineStart == 9 {
                status = line.prefix(3).reduce(0) { $0 * 10 + Int($1) - 48 }
            } else if let value = Self.value(line, "content-length:") {
                length = Int(value) ?? 0
            } else if let value = Self.value(line, "retry-after:") {
                retryAfter = Double(value)
            } else if let value = Self.value(line, "crest-shed:") {
                rejectedSpans = Int(value) ?? 0
            } else if let value = Self.value(line, "connection:") {
                closes = value.lowercased() == "close"
            }
            lineStart = index + 2
        }
        guard bytes.count >= end + length else { return nil }
        if status == 200, length > 0 {
            rejectedSpans = max(rejectedSpans, Self.rejected(Array(bytes[end..<end + length])))
        }
    }

    private static func endOfHead(_ bytes: ArraySlice<UInt8>) -> Int? {
        var index = 12
        while index + 4 <= bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10, bytes[index + 2] == 13, bytes[index + 3] == 10 {
                return index + 4
            }
            index += 1
        }
        return nil
    }

    private static func value(_ line: ArraySlice<UInt8>, _ name: StaticString) -> String? {
        guard line.count > name.utf8CodeUnitCount else { return nil }
        for offset in 0..<name.utf8CodeUnitCount {
            let byte = line[line.startIndex + offset]
            let lower = byte >= 65 && byte <= 90 ? byte + 32 : byte
            if lower != name.utf8Start[offset] { return nil }
        }
        let value = line.dropFirst(name.utf8CodeUnitCount).drop { $0 == 32 }
        return String(decoding: value, as: UTF8.self)
    }

    /// `ExportTraceServiceResponse.partial_success.rejected_spans`.
    private static func rejected(_ body: [UInt8]) -> Int {
        for partial in Fields(body, 0..<body.count) where partial.number == 1 {
            for field in Fields(body, partial.content) where field.number == 1 {
                return field.content.reversed().reduce(0) { $0 << 7 | Int(body[$1] & 127) }
            }
        }
        return 0
    }
}
