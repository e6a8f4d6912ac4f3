internal import Glibc

/// The `process_*` families that Prometheus client libraries export, read from `/proc/self`.
enum ProcessMetrics {
    static func families() -> [SelfMetricFamily] {
        var families: [SelfMetricFamily] = []
        var usage = timespec()
        if clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &usage) == 0 {
            let seconds = Double(usage.tv_sec) + Double(usage.tv_nsec) / 1e9
            families.append(
                SelfMetricFamily(
                    name: "process_cpu_seconds_total", isCounter: true, help: "User and system CPU time.",
                    samples: [SelfMetricFamily.Sample(value: seconds)]))
        }
        if let pages = field(1, of: "/proc/self/statm") {
            families.append(
                .gauge(
                    "process_resident_memory_bytes", "Resident memory.", pages * Double(sysconf(Int32(_SC_PAGESIZE)))))
        }
        if let start = startTime {
            families.append(.gauge("process_start_time_seconds", "Start of the process, Unix time.", start))
        }
        if let count = openFiles() {
            families.append(.gauge("process_open_fds", "Open file descriptors.", Double(count)))
        }
        return families
    }

    /// Constant for the life of the process, whatever the clock does later.
    private static let startTime: Double? = {
        guard let ticks = field(19, of: "/proc/self/stat", after: ")"), let uptime = field(0, of: "/proc/uptime")
        else { return nil }
        var now = timespec()
        guard clock_gettime(CLOCK_REALTIME, &now) == 0 else { return nil }
        let wall = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
        let started = wall - uptime + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return (started * 100).rounded() / 100
    }()

    /// The space-separated number at `index`, counted after the last `mark` when one is given.
    private static func field(_ index: Int, of path: String, after mark: Character? = nil) -> Double? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        var text = Substring(String(decoding: buffer[..<count], as: UTF8.self))
        if let mark, let position = text.lastIndex(of: mark) { text = text[text.index(after: position)...] }
        let fields = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        return index < fields.count ? Double(fields[index]) : nil
    }

    private static func openFiles() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return max(count - 3, 0)  // itself and the two dot entries
    }
}
