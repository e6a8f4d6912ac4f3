/// How much memory the process should use, from what is set and what there is.
package struct MemoryLimit: Hashable, Sendable {
    /// Without a setting and without a limit of the control group.
    static let standardBytes: UInt64 = 512 << 20
    static let smallestBytes: UInt64 = 64 << 20
    /// Of a control group's limit, without a setting: the kernel counts page cache and stacks against it too.
    static let groupPercent: UInt64 = 60

    /// Below this what the allocator keeps of freed memory counts.
    static let tightBytes: UInt64 = 256 << 20

    package let bytes: UInt64
    var isTight: Bool { bytes < Self.tightBytes }
    var shares: MemoryShares { MemoryShares(limit: bytes) }
    /// The setting was more than there is.
    package let isCut: Bool

    /// - Parameters:
    ///   - setting: nil: not set.
    ///   - groupBytes: the limit of the control group; nil: none.
    ///   - machineBytes: the machine's memory; nil: not known.
    init(setting: UInt64?, groupBytes: UInt64?, machineBytes: UInt64?) {
        let present = min(groupBytes ?? .max, machineBytes ?? .max)
        let wanted = setting ?? groupBytes.map { $0 / 100 * Self.groupPercent } ?? Self.standardBytes
        let bounded = max(min(wanted, present), Self.smallestBytes)
        bytes = bounded
        isCut = setting.map { $0 > bounded } ?? false
    }

    /// - Parameter readFile: of `/proc` and `/sys`.
    init(setting: UInt64?, readFile: (String) -> ConfigurationSources.FileText) {
        func text(_ path: String) -> String? {
            if case .text(let text) = readFile(path) { text } else { nil }
        }
        let machine = text("/proc/meminfo").flatMap { Self.machineBytes($0) }
        let group = Self.groupBytes(of: text("/proc/self/cgroup") ?? "", text)
        // A group that may have more than there is has no limit; version 1 says so by a huge number.
        self.init(
            setting: setting, groupBytes: group.flatMap { $0 < machine ?? .max ? $0 : nil }, machineBytes: machine)
    }

    /// `MemTotal` of `/proc/meminfo`.
    static func machineBytes(_ text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix("MemTotal:") {
            let fields = line.split(separator: " ")
            guard fields.count == 3, fields[2] == "kB" else { return nil }
            return UInt64(fields[1]).map { $0 << 10 }
        }
        return nil
    }

    /// The least limit of the process's control group and those above it, of either version.
    /// - Parameter membership: `/proc/self/cgroup`.
    static func groupBytes(of membership: String, _ read: (String) -> String?) -> UInt64? {
        var limits: [UInt64] = []
        for line in membership.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[0] == "0", fields[1].isEmpty {
                limits += Self.limits(fields[2], under: "/sys/fs/cgroup", file: "memory.max", read)
            } else if fields[1].split(separator: ",").contains("memory") {
                limits += Self.limits(fields[2], under: "/sys/fs/cgroup/memory", file: "memory.limit_in_bytes", read)
            }
        }
        return limits.min()
    }

    /// From the group up to the root. In a container the group's own path is not there, but the root is the group.
    private static func limits(
        _ group: Substring, under root: String, file: String, _ read: (String) -> String?
    ) -> [UInt64] {
        var names = group.split(separator: "/")
        guard !names.contains("..") else { return [] }
        var limits: [UInt64] = []
        while true {
            let path = ([root] + names.map(String.init) + [file]).joined(separator: "/")
            // `max` is no number: no limit.
            if let text = read(path), let limit = UInt64(text.filter { !$0.isWhitespace }) { limits.append(limit) }
            if names.popLast() == nil { return limits }
        }
    }
}
