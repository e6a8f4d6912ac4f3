package import SegmentStore
internal import Synchronization

/// A disk in memory that keeps, after a crash, what was synced, and of the rest only what chance leaves.
///
/// Every call has a number, from 1. ``Options`` make chosen calls fail, or one call and all that follow, as if the
/// machine had stopped. ``crash(_:)`` gives the directory as a restart would find it:
///
/// - a file's bytes up to the last `syncData` are there; of later ones each 512-byte sector is there, missing (zeros),
///   or holds what it should up to a cut inside; the size is anything between;
/// - names are those of the last `syncDirectory`, and each later change of a name is there or not, on its own.
package final class SimulatedDisk: Disk {
    package struct Options: Sendable {
        /// The call with this number fails with this errno.
        package var failures: [Int: Int32] = [:]
        /// Every call of this kind fails.
        package var failing: [DiskCall: Int32] = [:]
        /// This call and every later one fail, and change nothing.
        package var crashAt: Int?
        package var capacity: UInt64 = 1 << 40
        /// From this call on everything that needs room fails with ENOSPC.
        package var fullFrom: Int?
        /// Whether preallocated bytes use up the capacity before they are written.
        package var countsPreallocated = false

        package init() {}
    }

    final class Node: Sendable {
        struct Content {
            var bytes: [UInt8] = []
            var syncedCount = 0
            /// End of what is preallocated.
            var preallocatedEnd = 0
        }
        let content = Mutex(Content())
    }

    struct State {
        var options: Options
        var callCount = 0
        var calls: [DiskCall: Int] = [:]
        var log: [String] = []
        /// Names as the running system sees them, and as they are on the medium.
        var names: [String: Node] = [:]
        var durable: [String: Node] = [:]
        var directories: Set<String> = [""]
        var lockedPaths: Set<String> = []
    }

    let state: Mutex<State>

    package init(_ options: Options = Options()) { state = Mutex(State(options: options)) }

    /// Calls made so far.
    package var callCount: Int { state.withLock { $0.callCount } }
    package func count(of call: DiskCall) -> Int { state.withLock { $0.calls[call] ?? 0 } }
    package func change(_ body: (inout Options) -> Void) { state.withLock { body(&$0.options) } }
    package var paths: [String] { state.withLock { $0.names.keys.sorted() } }

    private static let loggedCalls = 4_096

    /// The calls with these numbers, for messages of failing tests.
    package func trace(_ numbers: ClosedRange<Int>) -> [String] {
        state.withLock { state in
            numbers.compactMap { state.log.indices.contains($0 - 1) ? "\($0) \(state.log[$0 - 1])" : nil }
        }
    }

    private static let growing: Set<DiskCall> = [.create, .append, .preallocate, .rename, .link, .makeDirectory]

    /// Counts one call and fails it if it is chosen.
    func enter(_ call: DiskCall, _ path: String) throws(DiskError) {
        let code: Int32? = state.withLock { state in
            state.callCount += 1
            state.calls[call, default: 0] += 1
            if state.log.count < Self.loggedCalls { state.log.append("\(call.rawValue) \(path)") }
            if let crashAt = state.options.crashAt, state.callCount >= crashAt { return 5 }
            if let full = state.options.fullFrom, state.callCount >= full, Self.growing.contains(call) { return 28 }
            return state.options.failures[state.callCount] ?? state.options.failing[call]
        }
        if let code { throw DiskError(call: call, path: path, code: code) }
    }

    var usedBytes: UInt64 {
        state.withLock { state in
            let nodes = Dictionary(
                state.names.values.map { (ObjectIdentifier($0), $0) }, uniquingKeysWith: { a, _ in a })
            return nodes.values.reduce(0) { sum, node in
                sum + node.content.withLock { UInt64(max($0.bytes.count, $0.preallocatedEnd)) }
            }
        }
    }

    package func create(_ path: String) throws(DiskError) -> any DiskFile {
        try enter(.create, path)
        let node: Node? = state.withLock { state in
            guard state.names[path] == nil else { return nil }
            let node = Node()
            state.names[path] = node
            return node
        }
        guard let node else { throw DiskError(call: .create, path: path, code: 17) }
        return SimulatedFile(self, node, path)
    }

    private func node(_ path: String, _ call: DiskCall) throws(DiskError) -> Node {
        guard let node = state.withLock({ $0.names[path] }) else { throw DiskError(call: call, path: path, code: 2) }
        return node
    }

    package func open(_ path: String) throws(DiskError) -> any DiskFile {
        try enter(.open, path)
        return SimulatedFile(self, try node(path, .open), path)
    }

    package func rename(_ path: String, to target: String) throws(DiskError) {
        try enter(.rename, path)
        let node = try node(path, .rename)
        state.withLock { state in
            state.names[path] = nil
            state.names[target] = node
        }
    }

    package func remove(_ path: String) throws(DiskError) {
        try enter(.remove, path)
        _ = try node(path, .remove)
        state.withLock { $0.names[path] = nil }
    }

    package func link(_ path: String, to target: String) throws(DiskError) {
        try enter(.link, path)
        let node = try node(path, .link)
        let isFree = state.withLock { state in
            guard state.names[target] == nil else { return false }
            state.names[target] = node
            return true
        }
        if !isFree { throw DiskError(call: .link, path: target, code: 17) }
    }

    package func makeDirectory(_ path: String) throws(DiskError) {
        try enter(.makeDirectory, path)
        state.withLock { _ = $0.directories.insert(path) }
    }

    package func removeDirectory(_ path: String) throws(DiskError) {
        try enter(.removeDirectory, path)
        let code: Int32? = state.withLock { state in
            guard state.directories.contains(path) else { return 2 }
            guard !state.names.keys.contains(where: { $0.hasPrefix(path + "/") }) else { return 39 }
            state.directories.remove(path)
            return nil
        }
        if let code { throw DiskError(call: .removeDirectory, path: path, code: code) }
    }

    static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    package func list(_ directory: String) throws(DiskError) -> [DiskEntry] {
        try enter(.list, directory)
        return state.withLock { state in
            let prefix = directory.isEmpty ? "" : directory + "/"
            let files = state.names.filter { Self.folder(of: $0.key) == directory }.map { name, node in
                DiskEntry(
                    name: String(name.dropFirst(prefix.count)),
                    byteCount: UInt64(node.content.withLock { $0.bytes.count }))
            }
            let folders = state.directories.filter { !$0.isEmpty && Self.folder(of: $0) == directory }.map {
                DiskEntry(name: String($0.dropFirst(prefix.count)), isRegularFile: false)
            }
            return (files + folders).sorted { $0.name < $1.name }
        }
    }

    package func syncDirectory(_ directory: String) throws(DiskError) {
        try enter(.syncDirectory, directory)
        state.withLock { state in
            for name in state.durable.keys where Self.folder(of: name) == directory && state.names[name] == nil {
                state.durable[name] = nil
            }
            for (name, node) in state.names where Self.folder(of: name) == directory { state.durable[name] = node }
        }
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskFile {
        try enter(.lock, path)
        let node: Node? = state.withLock { state in
            guard state.lockedPaths.insert(path).inserted else { return nil }
            let node = state.names[path] ?? Node()
            state.names[path] = node
            return node
        }
        guard let node else { throw DiskError(call: .lock, path: path, code: 11) }
        return SimulatedFile(self, node, path, holdsLock: true)
    }

    package func space() throws(DiskError) -> DiskSpace {
        try enter(.space, "")
        let used = usedBytes
        let capacity = state.withLock { $0.options.capacity }
        return DiskSpace(freeBytes: capacity > used ? capacity - used : 0, totalBytes: capacity)
    }
}
