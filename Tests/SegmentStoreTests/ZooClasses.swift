internal import Bytes
internal import SegmentStore
internal import Synchronization
internal import TestKit

/// Seeded bugs of classes, pins and thinning.
enum ZooClasses {
    typealias Specimen = ZooTests.Specimen

    static let all = pins + segments + manifests

    private static let pins = [
        Specimen("PINS is not synced before its rename", .classes) { $0.dropsSync = { $0 == "PINS.tmp" } },
        Specimen("PINS keeps its draft's name", .classes) { $0.dropsRename = { $1 == "PINS" } },
        Specimen("PINS leaves out the newest pin", .classes) { rules in
            rules.rewrites = { path, bytes in
                guard path == "PINS.tmp", let pins = decoded(bytes),
                    let newest = pins.marks.max(by: { $0.value < $1.value })
                else { return bytes }
                var less = pins
                less.marks[newest.key] = nil
                return less.encoded(storeID: Array(bytes[24..<40]))
            }
        },
        Specimen("an unpinned trace stays in PINS", .classes) { rules in
            let known = Mutex(Pins())
            rules.rewrites = { path, bytes in
                guard path == "PINS.tmp", let pins = decoded(bytes) else { return bytes }
                return known.withLock { known in
                    known.marks.merge(pins.marks) { first, _ in first }
                    return known.encoded(storeID: Array(bytes[24..<40]))
                }
            }
        },
    ]

    private static func decoded(_ bytes: [UInt8]) -> Pins? {
        bytes.count < 44 ? nil : try? Pins.decode(bytes, storeID: Array(bytes[24..<40]))
    }

    /// Gives another class to a segment, all checksums right.
    private static func relabels(
        _ from: RetentionClass, _ to: RetentionClass
    ) -> @Sendable (inout FaultyDisk.Rules) -> Void {
        { rules in
            let checksums = Mutex<[String: UInt32]>([:])
            rules.rewrites = { path, bytes in
                guard path.hasPrefix("segments/") else { return bytes }
                var bytes = bytes
                if bytes.count == 64, bytes[11] & 7 == from.rawValue {
                    bytes[11] = bytes[11] & 0xf8 | to.rawValue
                    put(crc32c(Array(bytes[..<60])), in: &bytes, at: 60)
                    checksums.withLock { $0[path] = crc32c(bytes) }
                } else if bytes.count == 32, let header = checksums.withLock({ $0[path] }) {
                    put(header, in: &bytes, at: 16)
                    put(crc32c(Array(bytes[..<20])), in: &bytes, at: 20)
                }
                return bytes
            }
        }
    }

    private static func put(_ value: UInt32, in bytes: inout [UInt8], at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    }

    private static let segments = [
        Specimen("traces with errors are in a segment of ordinary ones", .classes, relabels(.error, .ordinary)),
        Specimen("traces with errors are in a segment of slow ones", .classes, relabels(.error, .slow)),
        Specimen("pinned traces are in a segment of ordinary ones", .classes, relabels(.pinned, .ordinary)),
        Specimen("ordinary traces are in a segment of pinned ones", .classes, relabels(.ordinary, .pinned)),
        Specimen("one result of a merge keeps its draft's name", .classes) {
            $0.dropsRename = { $1.hasSuffix(".L1.seg") }
        },
        Specimen("results of merges are not synced before their renames", .classes) {
            $0.dropsSync = { $0.hasSuffix(".L1.seg.tmp") || $0.hasSuffix(".L2.seg.tmp") }
        },
    ]

    private static func manifest(_ change: @escaping @Sendable (inout Manifest) -> Void)
        -> @Sendable (inout FaultyDisk.Rules) -> Void
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
        Specimen("thinned spans are not counted", .classes, manifest { $0.removed.thinned = 0 }),
        Specimen("thinned spans are counted as lost", .classes) { rules in
            manifest {
                $0.removed.lost &+= $0.removed.thinned
                $0.removed.thinned = 0
            }(&rules)
        },
        Specimen("MANIFEST lists only the first result of a merge", .classes) { rules in
            manifest { manifest in
                let results = manifest.segments.filter { $0.level > 0 }
                guard let last = results.last,
                    results.contains(where: { $0.id < last.id && $0.lastSequence == last.lastSequence })
                else { return }
                manifest.segments.removeAll { $0.id == last.id }
            }(&rules)
        },
    ]
}
