internal import CLinux
internal import Glibc

/// Places the threads of a daemon so that what one of them waits for is another thread and not a core.
///
/// The receive thread has a core to itself and real-time priority, and so has the thread that measures, on the first
/// core; everything else of both processes keeps to the first core. A delay that is left is one that the daemon makes:
/// a lock that the receiver takes, a page fault that waits for the memory map, a cache that was emptied.
struct ThreadPlacement {
    /// Whether the kernel gave real-time priority; without it other programs are in the figures.
    private(set) var isRealTime = true

    /// - Parameters:
    ///   - receiver: how the receive thread's name begins.
    init(of pid: pid_t, receiver: String) {
        for thread in Self.threads(of: pid) {
            let name = readFile("/proc/\(pid)/task/\(thread)/comm") ?? ""
            let isReceiver = name.hasPrefix(receiver)
            _ = clinux_pin(thread, isReceiver ? lastCore : 0)
            if isReceiver { raise(thread) }
        }
        _ = clinux_pin(0, 0)
    }

    /// Gives the calling thread the priority, too.
    mutating func raiseCaller() { raise(0) }

    func lowerCaller() {
        var parameters = sched_param()
        _ = sched_setscheduler(0, CInt(SCHED_OTHER), &parameters)
    }

    private mutating func raise(_ thread: pid_t) {
        var parameters = sched_param()
        parameters.sched_priority = 1
        if sched_setscheduler(thread, CInt(SCHED_FIFO), &parameters) != 0 { isRealTime = false }
    }

    private static func threads(of pid: pid_t) -> [pid_t] {
        guard let stream = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(stream) }
        var threads: [pid_t] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let thread = pid_t(name) { threads.append(thread) }
        }
        return threads
    }
}
