internal import Glibc
internal import Synchronization

/// Holds a started process to a share of one core, so that a sender on another core can offer a hundred times what
/// the process has time for.
///
/// By a control group of its own where the kernel lets us make one, else by stopping and continuing the process.
final class CPUQuota {
    /// How the process is held: `cgroup v2`, `cgroup v1` or `SIGSTOP/SIGCONT`.
    let method: String
    private let folder: String?
    private let cycle: DutyCycle?
    private let period: Int
    private let quota: Int

    /// - Parameter share: of one core, above 0 and at most 1.
    init(pid: pid_t, share: Double) throws {
        // A quota below a millisecond is refused; a short period keeps the pauses short.
        period = max(5_000, Int((1_000 / share).rounded(.up)))
        quota = Int(Double(period) * share)
        for place in Self.places() {
            let folder = "\(place.folder)/crest-bench-\(pid)"
            guard mkdir(folder, 0o755) == 0 else { continue }
            let isSet =
                place.isVersion2
                ? writeFile("\(folder)/cpu.max", "\(quota) \(period)")
                : writeFile("\(folder)/cpu.cfs_period_us", "\(period)")
                    && writeFile("\(folder)/cpu.cfs_quota_us", "\(quota)")
            if isSet, writeFile("\(folder)/cgroup.procs", "\(pid)") {
                self.folder = folder
                method = place.isVersion2 ? "cgroup v2" : "cgroup v1"
                cycle = nil
                return
            }
            rmdir(folder)
        }
        folder = nil
        method = "SIGSTOP/SIGCONT"
        cycle = try DutyCycle(pid: pid, share: share)
    }

    /// Gives the process all the time it wants.
    func lift() {
        cycle?.isHolding = false
        guard let folder else { return }
        _ = writeFile("\(folder)/cpu.max", "max") || writeFile("\(folder)/cpu.cfs_quota_us", "-1")
    }

    /// Holds it again.
    func hold() {
        cycle?.isHolding = true
        guard let folder else { return }
        _ = writeFile("\(folder)/cpu.max", "\(quota) \(period)") || writeFile("\(folder)/cpu.cfs_quota_us", "\(quota)")
    }

    /// Lets go of the process for good, before it ends.
    func end() {
        lift()
        cycle?.end()
    }

    /// To be called when the process has ended.
    func remove() {
        if let folder { rmdir(folder) }
    }

    private static func places() -> [(folder: String, isVersion2: Bool)] {
        var places: [(folder: String, isVersion2: Bool)] = []
        for line in (readFile("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let path = parts[2] == "/" ? "" : String(parts[2])
            if parts[1] == "" { places.append(("/sys/fs/cgroup" + path, true)) }
            if parts[1].split(separator: ",").contains("cpu") { places.append(("/sys/fs/cgroup/cpu" + path, false)) }
        }
        return places
    }
}

/// Lets a process run for its share of every twenty milliseconds.
private final class DutyCycle: Sendable {
    private let state = Mutex((isHolding: true, isOver: false))
    private let pid: pid_t

    init(pid: pid_t, share: Double) throws {
        self.pid = pid
        let run = UInt32(20_000 * share)
        try startThread { [self] in
            while !state.withLock(\.isOver) {
                if isHolding { send(SIGSTOP) }
                usleep(20_000 - run)
                send(SIGCONT)
                usleep(run)
            }
        }
    }

    var isHolding: Bool {
        get { state.withLock { $0.isHolding } }
        set { state.withLock { $0.isHolding = newValue } }
    }

    /// The process number is ours only until the end.
    private func send(_ signal: Int32) { state.withLock { if !$0.isOver { kill(pid, signal) } } }

    func end() {
        send(SIGCONT)
        state.withLock { $0.isOver = true }
    }
}

/// Writes to a file that is there already. False when that cannot be done.
private func writeFile(_ path: String, _ text: String) -> Bool {
    let descriptor = open(path, O_WRONLY)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    return write(descriptor, bytes, bytes.count) == bytes.count
}
