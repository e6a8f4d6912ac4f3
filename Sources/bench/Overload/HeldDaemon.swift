internal import CLinux
internal import Glibc
internal import Telemetry

/// A crestd held to a share of the last core, while bench keeps to the first.
final class HeldDaemon {
    /// The limit that the daemon is told, and that its memory is measured against.
    static let memoryLimit = 256 << 20

    let process: ServerProcess
    let quota: CPUQuota
    let share: Double
    private let folder: String

    init(share: Double, listeners: [String] = ["http", "otlp-http"], flags: [String] = []) throws {
        folder = try temporaryFolder()
        self.share = share
        let arguments = daemonFlags(listeners, folder: folder) + ["--memory-limit", "256MiB"] + flags
        process = try onCore(lastCore) { try ServerProcess("crestd", arguments) }
        quota = try CPUQuota(pid: process.pid, share: share)
    }

    func port(_ listener: String) -> UInt16 { process.ports[listener] ?? 0 }

    func get(_ path: String, token: String = "") throws -> [UInt8] {
        var connection = try HTTPConnection(port: port("http"))
        defer { connection.close() }
        let reply = try connection.exchange("GET", path, token: token)
        guard reply.status == 200 else { throw ReplayFailure(text: "\(path): status \(reply.status)") }
        return reply.body
    }

    func metrics(token: String = "") throws -> String {
        String(decoding: try get("/metrics", token: token), as: UTF8.self)
    }

    /// The ledger once nothing is under way any longer; that of the deadline otherwise.
    func settledLedger(token: String = "") throws -> String {
        let deadline = now() + 20
        while true {
            let text = String(decoding: try get("/api/crest/v1/ledger", token: token), as: UTF8.self)
            if text.contains("\"balanced\":true") || now() > deadline { return text }
            usleep(50_000)
        }
    }

    func stop() {
        quota.end()
        _ = process.stop()
        quota.remove()
        removeFolder(folder)
    }
}

/// What a program that lies beside bench prints.
func programOutput(_ name: String, _ arguments: [String]) throws -> String {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { throw CallFailure(call: "pipe") }
    let pid = try spawn(siblingPath(name), arguments, standardOutput: pipes[1])
    close(pipes[1])
    let text = String(decoding: readAll(pipes[0]), as: UTF8.self)
    close(pipes[0])
    var code: Int32 = 0
    while waitpid(pid, &code, 0) < 0, errno == EINTR {}
    guard code == 0 else { throw ReplayFailure(text: "\(name) \(arguments.first ?? ""), exit \(code >> 8)") }
    return text
}

/// Asks the query API what is stored of traces.
struct StoredTraces {
    let port: UInt16
    var token = ""

    /// Spans of each trace; traces that are not there are left out.
    func spans(of ids: [TraceID]) throws -> [TraceID: Int] {
        var counts: [TraceID: Int] = [:]
        var connection = try HTTPConnection(port: port)
        defer { connection.close() }
        var next = 0
        while next < ids.count {
            // A request line of at most 8 KiB.
            let part = ids[next..<min(next + 200, ids.count)]
            next += part.count
            let list = part.map { $0.hexadecimal }.joined(separator: ",")
            let path = part.count == 1 ? "/api/v2/trace/\(list)" : "/api/v2/traceMany?traceIds=\(list)"
            let reply = try connection.exchange("GET", path, token: token)
            guard reply.status == 200 || reply.status == 404 else {
                throw ReplayFailure(text: "traces: status \(reply.status)")
            }
            if reply.status == 200 { Self.count(reply.body, into: &counts) }
        }
        return counts
    }

    /// Counts the `"traceId":"..."` of Zipkin's JSON.
    private static func count(_ body: [UInt8], into counts: inout [TraceID: Int]) {
        let key = Array("\"traceId\":\"".utf8)
        body.withUnsafeBytes { bytes in
            var index = 0
            while index + key.count + 32 < bytes.count {
                guard bytes[index] == key[0], bytes[index + 6] == key[6],
                    bytes[index..<index + key.count].elementsEqual(key)
                else {
                    index += 1
                    continue
                }
                let digits = bytes[index + key.count..<index + key.count + 32]
                if let id = TraceID(hexadecimal: digits) { counts[id, default: 0] += 1 }
                index += key.count + 32
            }
        }
    }
}

extension TraceID {
    fileprivate init?(hexadecimal digits: Slice<UnsafeRawBufferPointer>) {
        var words: [UInt64] = [0, 0]
        for (index, digit) in digits.enumerated() {
            let value = digit < 58 ? Int(digit) - 48 : Int(digit) - 87
            guard (0..<16).contains(value) else { return nil }
            words[index / 16] = words[index / 16] << 4 | UInt64(value)
        }
        self.init(high: words[0], low: words[1])
    }

    fileprivate var hexadecimal: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
