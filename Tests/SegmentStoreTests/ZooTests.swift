internal import SegmentStore
internal import Synchronization
internal import TestKit
internal import Testing

/// Bugs a store could have, each seeded through a disk that leaves out, turns round or falsifies one thing, and each
/// caught by the oracle that is named for it. The same oracles find nothing on an honest disk.
struct ZooTests {
    struct Specimen: CustomStringConvertible, Sendable {
        let name: String
        let oracle: ZooOracle
        let seed: @Sendable (inout FaultyDisk.Rules) -> Void
        var description: String { name }

        init(_ name: String, _ oracle: ZooOracle, _ seed: @escaping @Sendable (inout FaultyDisk.Rules) -> Void) {
            self.name = name
            self.oracle = oracle
            self.seed = seed
        }
    }

    @Test(arguments: ZooOracle.allCases) func anHonestDiskPasses(oracle: ZooOracle) {
        let defect = oracle.examine(FaultyDisk.Rules())
        #expect(defect == nil, "\(oracle.rawValue): \(defect ?? "")")
    }

    @Test func everySpecimenIsCaught() {
        var lines = ""
        for specimen in Self.all {
            var rules = FaultyDisk.Rules()
            specimen.seed(&rules)
            let defect = specimen.oracle.examine(rules)
            #expect(defect != nil, "\(specimen.name) is not caught by: \(specimen.oracle.rawValue)")
            lines += "\(specimen.name) | \(specimen.oracle.rawValue) | \(defect ?? "NOT CAUGHT")\n"
        }
        print("zoo: \(Self.all.count) seeded bugs\n\(lines)")
        #expect(Self.all.count >= 30)
    }

    static let all = syncs + orders + bytes + manifests + rest + snapshots + ZooClasses.all

    private static let syncs = [
        Specimen("the log is not synced before the answer", .crash) { $0.dropsSync = { $0.hasPrefix("wal/") } },
        Specimen("the log's folder is not synced", .crash) { $0.dropsDirectorySync = { $0 == "wal" } },
        Specimen("a segment is not synced before its rename", .crash) { $0.dropsSync = { $0.hasPrefix("segments/") } },
        Specimen("the segments' folder is not synced", .crash) { $0.dropsDirectorySync = { $0 == "segments" } },
        Specimen("MANIFEST is not synced before its rename", .crash) { $0.dropsSync = { $0 == "MANIFEST.tmp" } },
        Specimen("META is not synced before its rename", .crash) { $0.dropsSync = { $0 == "META.tmp" } },
        Specimen("the data directory is not synced", .crash) { $0.dropsDirectorySync = { $0.isEmpty } },
        Specimen("an error of fdatasync is ignored", .failure) { $0.ignoresErrors = { $0.hasPrefix("wal/") } },
        Specimen("a full disk is ignored while sealing", .failure) {
            $0.ignoresErrors = { $0.hasPrefix("segments/") }
            $0.beforeRename = { disk, _, target in if target.hasPrefix("segments/") { dropLogs(disk, keep: 1) } }
        },
    ]

    private static func dropLogs(_ disk: SimulatedDisk, keep: Int) {
        for path in disk.paths.filter({ $0.hasPrefix("wal/") && $0.hasSuffix(".wal") }).dropLast(keep) {
            disk.erase(path)
        }
    }

    private static let orders = [
        Specimen("the log is unlinked before its segment is written", .crash) {
            $0.beforeCreate = { disk, path in if path.hasPrefix("segments/") { dropLogs(disk, keep: 1) } }
        },
        Specimen("the log is unlinked when it is full", .crash) {
            $0.beforeCreate = { disk, path in if path.hasPrefix("wal/") { dropLogs(disk, keep: 0) } }
        },
        Specimen("the log is unlinked before its segment has its name", .crash) {
            $0.beforeRename = { disk, _, target in if target.hasPrefix("segments/") { dropLogs(disk, keep: 1) } }
        },
        Specimen("a new log file keeps its draft's name", .crash) {
            $0.dropsRename = { $1.hasPrefix("wal/") }
        },
        Specimen("a segment keeps its draft's name", .progress) { $0.dropsRename = { $1.hasPrefix("segments/") } },
        Specimen("MANIFEST keeps its draft's name", .crash) { $0.dropsRename = { $1 == "MANIFEST" } },
        Specimen("META keeps its draft's name", .crash) { $0.dropsRename = { $1 == "META" } },
        Specimen("a sealed log is never unlinked", .progress) { $0.dropsRemove = { $0.hasSuffix(".wal") } },
        Specimen("an expired segment is never unlinked", .retention) { $0.dropsRemove = { $0.hasSuffix(".seg") } },
        Specimen("an expired segment is unlinked before MANIFEST says so", .retention) { rules in
            let known = Mutex<Set<String>>([])
            let disk = Mutex<SimulatedDisk?>(nil)
            rules.beforeCreate = { current, _ in disk.withLock { $0 = current } }
            rules.rewrites = { path, bytes in
                guard path == "MANIFEST.tmp", let manifest = try? Manifest.decode(bytes) else { return bytes }
                let now = Set(manifest.segments.map(\.path))
                let gone = known.withLock { known in
                    defer { known = now }
                    return known.subtracting(now)
                }
                for path in gone { disk.withLock { $0 }?.erase(path) }
                return bytes
            }
        },
    ]

    private static func log(_ change: @escaping @Sendable ([UInt8]) -> [UInt8])
        -> @Sendable (
            inout FaultyDisk.Rules
        ) -> Void
    {
        // A new file begins with its header, twice; groups have other lengths.
        { $0.rewrites = { path, bytes in path.hasPrefix("wal/") && bytes.count != 128 ? change(bytes) : bytes } }
    }

    private static func logHeader(_ change: @escaping @Sendable (inout WALFileHeader) -> Void)
        -> @Sendable (
            inout FaultyDisk.Rules
        ) -> Void
    {
        {
            $0.rewrites = { path, bytes in
                guard path.hasPrefix("wal/"), bytes.count == 128,
                    var header = bytes.withUnsafeBytes({ try? WALFileHeader.decode($0) })
                else { return bytes }
                change(&header)
                return header.encoded() + header.encoded()
            }
        }
    }

    private static let bytes = [
        Specimen("a group is answered and not written", .crash, log { _ in [] }),
        Specimen("a group is written without its trailer", .crash, log { Array($0.dropLast(16)) }),
        Specimen("a group is cut at a sector", .crash, log { Array($0.prefix($0.count / 512 * 512)) }),
        Specimen(
            "a group changes after its checksum", .crash,
            log { bytes in
                var bytes = bytes
                bytes[bytes.count / 2] ^= 1
                return bytes
            }),
        Specimen(
            "a group's header has the checksum of another", .crash,
            log { bytes in
                var bytes = bytes
                if bytes.count > 56 { bytes[52] ^= 1 }
                return bytes
            }),
        Specimen("a log file's first sequence is one too high", .crash, logHeader { $0.firstSequence &+= 1 }),
        Specimen("a log file's spans before are one too many", .crash, logHeader { $0.spansBefore &+= 1 }),
        Specimen(
            "a log file's spans before are one too few", .crash,
            logHeader { if $0.spansBefore > 0 { $0.spansBefore &-= 1 } }),
        Specimen("a log file has another store's id", .crash, logHeader { $0.storeID[0] ^= 1 }),
        Specimen("a segment's last block is not written", .progress) {
            $0.rewrites = { path, bytes in path.hasPrefix("segments/") ? Array(bytes.dropLast(1)) : bytes }
        },
    ]

    private static func manifest(_ change: @escaping @Sendable (inout Manifest) -> Void)
        -> @Sendable (
            inout FaultyDisk.Rules
        ) -> Void
    {
        {
            $0.rewrites = { path, bytes in
                guard path == "MANIFEST.tmp", var manifest = try? Manifest.decode(bytes) else { return bytes }
                change(&manifest)
                return manifest.encoded()
            }
        }
    }

    private static let manifests = [
        Specimen(
            "MANIFEST leaves out the newest segment", .crash,
            manifest { if !$0.segments.isEmpty { $0.segments.removeLast() } }),
        Specimen(
            "MANIFEST leaves out the oldest segment", .crash,
            manifest { if $0.segments.count > 1 { $0.segments.removeFirst() } }),
        Specimen("the sealed sequence is one too high", .crash, manifest { $0.sealedSequence &+= 1 }),
        Specimen("MANIFEST has another store's id", .crash, manifest { $0.storeID[0] ^= 1 }),
        Specimen("expired spans are not counted", .retention, manifest { $0.removed.expired = 0 }),
        Specimen("expired spans are counted as lost", .retention) { rules in
            manifest {
                $0.removed.lost = $0.removed.expired
                $0.removed.expired = 0
            }(&rules)
        },
        Specimen("the clock's high-water mark is not kept", .clock, manifest { $0.clockHighWater = 0 }),
    ]

    private static let rest = [
        Specimen("the lock is not exclusive", .lock) { $0.sharesLock = true },
        Specimen("free space is asked for once", .resume) { $0.remembersSpace = true },
        Specimen("a listing of the log leaves out the newest file", .crash) {
            $0.lists = { $0 == "wal" ? Array($1.dropLast()) : $1 }
        },
        Specimen("a listing of the segments leaves out one", .crash) {
            $0.lists = { $0 == "segments" ? Array($1.dropLast()) : $1 }
        },
        Specimen("recovery stops at the last whole sector", .crash) {
            $0.size = { path, size in path.hasPrefix("wal/") ? size / 512 * 512 : size }
        },
        Specimen("a damaged segment is thrown away", .quarantine) {
            $0.dropsRename = { $1.hasPrefix("quarantine/") }
            $0.beforeRename = { disk, path, target in if target.hasPrefix("quarantine/") { disk.erase(path) } }
        },
        Specimen("a damaged log is not kept", .quarantine) { $0.dropsLink = { $0.hasPrefix("quarantine/") } },
    ]

    private static let snapshots = [
        Specimen("a snapshot's folder is not synced", .snapshot) {
            $0.dropsDirectorySync = { $0.hasPrefix("snapshots/") && !$0.hasSuffix("segments") }
        },
        Specimen("a snapshot's links are not synced", .snapshot) {
            $0.dropsDirectorySync = { $0.hasPrefix("snapshots/") && $0.hasSuffix("segments") }
        },
        Specimen("a snapshot leaves out a link", .snapshot) {
            $0.dropsLink = { $0.hasSuffix("-00000000000000000001.L0.seg") }
        },
        Specimen("a snapshot leaves out META", .snapshot) { $0.dropsLink = { $0.hasSuffix("/META") } },
        Specimen("SNAPSHOT is not synced", .snapshot) { $0.dropsSync = { $0.hasSuffix("/SNAPSHOT.tmp") } },
        Specimen("a snapshot's MANIFEST is not synced", .snapshot) { $0.dropsSync = { $0.hasSuffix("/MANIFEST.tmp") } },
        Specimen("SNAPSHOT keeps its draft's name", .snapshot) { $0.dropsRename = { $1.hasSuffix("/SNAPSHOT") } },
        Specimen("a snapshot's MANIFEST is of another moment", .snapshot) {
            $0.rewrites = { path, bytes in
                guard path.hasSuffix("/MANIFEST.tmp"), var manifest = try? Manifest.decode(bytes),
                    !manifest.segments.isEmpty
                else { return bytes }
                manifest.segments.removeLast()
                return manifest.encoded()
            }
        },
    ]
}
