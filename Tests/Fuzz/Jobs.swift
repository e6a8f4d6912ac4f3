internal import Glibc

/// Runs targets in processes of their own, some at a time: one that dies takes nobody along.
struct Jobs {
    let count: Int
    /// The command line of a target.
    let arguments: (FuzzTarget) -> [String]

    /// - Returns: the targets that failed, in no order.
    func run(_ targets: [FuzzTarget]) -> [String] {
        var waiting = targets[...]
        var running: [pid_t: String] = [:]
        var failed: [String] = []
        while !waiting.isEmpty || !running.isEmpty {
            while running.count < count, let target = waiting.popFirst() {
                if let process = start(arguments(target)) {
                    running[process] = target.name
                } else {
                    failed.append(target.name)
                }
            }
            var status: CInt = 0
            let process = waitpid(-1, &status, 0)
            guard process > 0, let name = running.removeValue(forKey: process) else { continue }
            guard status != 0 else { continue }
            failed.append(name)
            let signal = status & 0x7f
            print("\(name): \(signal == 0 ? "failed" : "ended by signal \(signal)")")
            fflush(nil)
        }
        return failed
    }

    private func start(_ arguments: [String]) -> pid_t? {
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        return posix_spawn(&process, arguments[0], nil, nil, words, environ) == 0 ? process : nil
    }
}
