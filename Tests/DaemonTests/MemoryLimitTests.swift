import Daemon
import Testing

@Suite struct MemoryLimitTests {
    private static let gigabyte: UInt64 = 1 << 30

    private func limit(_ files: [String: String], flag: String? = nil) throws -> Configuration {
        var sources = ConfigurationSources(flags: flag.map { ["memory-limit": [$0]] } ?? [:])
        sources.readFile = { path in files[path].map { .text($0) } ?? .failure("no such file") }
        return try sources.resolve().configuration
    }

    private static let machine = ["/proc/meminfo": "MemTotal:       8388608 kB\nMemFree:  1 kB\n"]

    @Test("Without a setting: 60 % of the control group's limit, of either version, else 512 MiB")
    func automatic() throws {
        #expect(try limit([:]).memory.bytes == 512 << 20)
        #expect(try limit(Self.machine).memory.bytes == 512 << 20)
        let cases: [(String, [String: String], UInt64)] = [
            ("0::/\n", ["/sys/fs/cgroup/memory.max": "1073741824\n"], Self.gigabyte),
            ("0::/\n", ["/sys/fs/cgroup/memory.max": "max\n"], 0),
            // On the host: the group's own file, and those above it bind too.
            (
                "0::/a/b\n", ["/sys/fs/cgroup/a/b/memory.max": "max", "/sys/fs/cgroup/a/memory.max": "2147483648"],
                2 * Self.gigabyte
            ),
            (
                "0::/a/b\n",
                ["/sys/fs/cgroup/a/b/memory.max": "1073741824", "/sys/fs/cgroup/a/memory.max": "2147483648"],
                Self.gigabyte
            ),
            (
                "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n",
                ["/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1073741824\n"], Self.gigabyte
            ),
            // In a container the path is the host's, and the root is the group.
            (
                "4:memory:/docker/x\n", ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"],
                Self.gigabyte
            ),
            ("4:memory:/\n", ["/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"], 0),
            ("4:memory:/../x\n", ["/sys/fs/cgroup/memory/../x/memory.limit_in_bytes": "1073741824\n"], 0),
            ("nonsense\n:::\n0::\n", ["/sys/fs/cgroup/memory.max": "-1"], 0),
        ]
        for (membership, files, group) in cases {
            let all = Self.machine.merging(files) { $1 }.merging(["/proc/self/cgroup": membership]) { $1 }
            let expected = group == 0 ? 512 << 20 : group / 100 * 60
            #expect(try limit(all).memory.bytes == expected, "\(membership)")
        }
    }

    @Test("A setting counts, up to what there is, and a cut is told")
    func setting() throws {
        #expect(try limit(Self.machine, flag: "256MiB").memory.bytes == 256 << 20)
        let cut = try limit(Self.machine, flag: "16GiB").memory
        #expect(cut.bytes == 8 * Self.gigabyte && cut.isCut)
        let group = ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "104857600\n"]
        #expect(try limit(Self.machine.merging(group) { $1 }, flag: "1GiB").memory.bytes == 100 << 20)
        // Less than the least there is none.
        let tiny = ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1048576\n"]
        #expect(try limit(tiny).memory.bytes == 64 << 20)
        #expect(throws: StartFailure.self) { try limit([:], flag: "63MiB") }
        #expect(throws: StartFailure.self) { try limit([:], flag: "much") }
    }

    @Test("Rates: for all, for single tenants, none; and nothing else")
    func rates() throws {
        let flags = [
            "tenant-bytes-per-second": ["10MB", "shop=50MB", "lab=none"], "tenant-spans-per-second": ["shop=1000"],
            "source-bytes-per-second": ["1MiB"],
        ]
        let resolved = try ConfigurationSources(flags: flags).resolve()
        let rates = resolved.configuration.rates
        #expect(rates.tenantBytes.general == 10_000_000)
        #expect(rates.tenantBytes.special == ["shop": 50_000_000, "lab": nil])
        #expect(rates.tenantSpans.general == nil && rates.tenantSpans.special == ["shop": 1_000])
        #expect(rates.sourceBytes.general == 1 << 20 && rates.sourceSpans.general == nil)
        let lines = resolved.yaml.split(separator: "\n")
        #expect(lines.contains("tenant-bytes-per-second: [10000000, 'lab=none', 'shop=50000000']  # flag"))
        let again = try ConfigurationSources(
            configPath: "c.yaml", readFile: { $0 == "c.yaml" ? .text(resolved.yaml) : .failure("none") }
        ).resolve()
        #expect(again.configuration.rates == rates)
        let environment = try ConfigurationSources(
            environment: ["CREST_TENANT_BYTES_PER_SECOND": "1MB,shop=2MB"]
        ).resolve()
        #expect(environment.configuration.rates.tenantBytes.special == ["shop": 2_000_000])
        for (name, text) in [
            ("tenant-bytes-per-second", "0"), ("tenant-bytes-per-second", "fast"),
            ("tenant-bytes-per-second", "Shop=1MB"), ("tenant-bytes-per-second", "shop="),
            ("tenant-bytes-per-second", ""), ("source-bytes-per-second", "shop=1MB"),
            ("tenant-spans-per-second", "10MB"), ("source-spans-per-second", "-1"),
        ] {
            #expect(throws: StartFailure.self, "\(name) \(text)") {
                try ConfigurationSources(flags: [name: [text]]).resolve()
            }
        }
    }
}
