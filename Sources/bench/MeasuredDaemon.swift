internal import CLinux
internal import Glibc

/// A crestd with only the listeners that are measured, on the last core; bench itself goes to the first.
struct MeasuredDaemon {
    let process: ServerProcess
    private let folder: String

    /// - Parameters:
    ///   - pinned: all of the daemon on the last core, bench on the first.
    ///   - flags: more of crestd's.
    init(pinned: Bool = true, flags: [String] = []) throws {
        folder = try temporaryFolder()
        let arguments = daemonFlags(["http", "statsd", "crest-udp"], folder: folder) + ["--statsd-workers", "1"]
        process = try onCore(pinned ? lastCore : -1) { try ServerProcess("crestd", arguments + flags) }
    }

    var port: UInt16 { process.ports["statsd"] ?? 0 }

    func metrics() throws -> String {
        var connection = try HTTPConnection(port: process.ports["http"] ?? 0)
        defer { connection.close() }
        return String(decoding: try connection.exchange("GET", "/metrics").body, as: UTF8.self)
    }

    /// The metrics once every datagram that was sent is received or dropped; those of the deadline otherwise.
    func metrics(after datagrams: Int) throws -> String {
        let deadline = now() + 20
        while true {
            let text = try metrics()
            let known =
                metric("crest_datagrams_received_total", in: text)
                + metric("crest_datagrams_dropped_by_kernel_total", in: text)
            if Int(known) >= datagrams || now() > deadline { break }
            usleep(20_000)
        }
        // The lines of the last datagrams are counted with the next tick.
        usleep(600_000)
        return try metrics()
    }

    func stop() {
        _ = process.stop()
        removeFolder(folder)
    }
}

var lastCore: Int32 { Int32(sysconf(Int32(_SC_NPROCESSORS_ONLN))) - 1 }

/// Starts a process that keeps to one core (-1: to none), and bench to the first if it does.
func onCore(_ core: Int32, _ start: () throws -> ServerProcess) rethrows -> ServerProcess {
    _ = clinux_pin(0, core)
    defer { _ = clinux_pin(0, core < 0 ? -1 : 0) }
    return try start()
}

/// The sum of a family's samples in an exposition.
func metric(_ name: String, in text: String) -> Double {
    text.split(separator: "\n").filter { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
        .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
}

/// What waits and what was dropped on the IPv4 UDP socket with this local port.
func kernelQueue(port: UInt16) -> (bytes: Int, drops: Int) {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    for line in (readFile("/proc/net/udp") ?? "").split(separator: "\n") {
        let fields = line.split(separator: " ")
        guard fields.count > 12, fields[1].hasSuffix(suffix) else { continue }
        let waiting = fields[4].split(separator: ":").last.flatMap { Int($0, radix: 16) } ?? 0
        return (waiting, Int(fields[12]) ?? 0)
    }
    return (0, 0)
}
