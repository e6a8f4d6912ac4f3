internal import Glibc

/// A started program whose first line of output names its ports.
final class ServerProcess {
    let pid: pid_t
    let ports: [String: UInt16]
    private var usage = rusage()
    private var isStopped = false

    /// Starts the program `name` that lies beside bench and waits for its ready line.
    convenience init(_ name: String, _ arguments: [String]) throws {
        try self.init(path: siblingPath(name), arguments)
    }

    init(path: String, _ arguments: [String]) throws {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw CallFailure(call: "pipe") }
        pid = try spawn(path, arguments, standardOutput: pipes[1])
        close(pipes[1])
        guard let line = firstLine(of: pipes[0]) else { throw CallFailure(call: "ready line of \(path)") }
        var ports: [String: UInt16] = [:]
        for word in line.split(separator: " ") {
            let halves = word.split(separator: "=")
            guard halves.count == 2, let port = halves[1].split(separator: ":").last.flatMap({ UInt16($0) }) else {
                continue
            }
            ports[String(halves[0])] = port
        }
        self.ports = ports
    }

    /// A measurement that failed leaves nothing running.
    deinit { if !isStopped { kill(pid, SIGKILL) } }

    /// Runs a program to its end.
    static func run(_ path: String, _ arguments: [String]) throws {
        let pid = try spawn(path, arguments, standardOutput: 2)
        var code: Int32 = 0
        while waitpid(pid, &code, 0) < 0, errno == EINTR {}
        guard code == 0 else { throw CallFailure(call: arguments.first ?? path) }
    }

    /// User and system seconds so far, of all threads.
    var cpuSeconds: Double {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func status(_ key: String) -> Int {
        for line in (readFile("/proc/\(pid)/status") ?? "").split(separator: "\n") where line.hasPrefix(key) {
            return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
        }
        return 0
    }

    /// Resident bytes now and at most so far.
    var residentBytes: Int { status("VmRSS") << 10 }
    var peakResidentBytes: Int { status("VmHWM") << 10 }

    /// Sends the signal, waits, and returns the process's CPU seconds from its first instruction to its last.
    func stop(signal: Int32 = SIGTERM) -> Double {
        isStopped = true
        kill(pid, signal)
        var code: Int32 = 0
        while wait4(pid, &code, 0, &usage) < 0, errno == EINTR {}
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}

/// Flags of a crestd with only these listeners, each on a free port, over a data directory.
func daemonFlags(_ open: [String], folder: String) -> [String] {
    let all = ["http", "otlp-http", "otlp-grpc", "zipkin", "jaeger-http", "jaeger-udp", "statsd", "crest-udp"]
    return all.flatMap { ["--\($0)", open.contains($0) ? "127.0.0.1:0" : "off"] } + ["--data-dir", folder]
}

func siblingPath(_ name: String) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let own = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    return folder + "/" + name
}

/// Starts a program with its standard output on `standardOutput`; its errors go where bench's go.
func spawn(_ path: String, _ arguments: [String], standardOutput: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, standardOutput, 1)
    var pointers: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid = pid_t()
    let code = posix_spawn(&pid, path, &actions, nil, &pointers, environ)
    guard code == 0 else {
        errno = code
        throw CallFailure(call: "start \(path)")
    }
    return pid
}

private func firstLine(of descriptor: Int32) -> String? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(descriptor, &byte, 1) == 1 {
        if byte == 10 { return String(decoding: line, as: UTF8.self) }
        line.append(byte)
    }
    return nil
}

/// Everything a pipe gives until its end.
func readAll(_ descriptor: Int32) -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return all }
        all.append(contentsOf: chunk[..<count])
    }
}

func readFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    return String(decoding: readAll(descriptor), as: UTF8.self)
}
