internal import Synchronization

/// What only snapshots hold: segments that the store has merged or removed since, and that go with the last snapshot.
///
/// Source: schemas/disk/snapshot.md, "Room".
package enum SnapshotHolding {
    /// Bytes of segments that are in a snapshot and not in `segments/`, each once.
    package static func bytes(_ disk: any Disk) throws(DiskError) -> UInt64 {
        var held: [String: UInt64] = [:]
        for folder in try entries(StorePath.snapshotDirectory, disk) where !folder.isRegularFile {
            let segments = "\(StorePath.snapshot(folder.name))/\(StorePath.segmentDirectory)"
            for entry in try entries(segments, disk) where StorePath.id(ofSegment: entry.name) != nil {
                held[entry.name] = entry.byteCount
            }
        }
        guard !held.isEmpty else { return 0 }
        for entry in try entries(StorePath.segmentDirectory, disk) { held[entry.name] = nil }
        return held.values.reduce(0, &+)
    }

    private static func entries(_ folder: String, _ disk: any Disk) throws(DiskError) -> [DiskEntry] {
        do { return try disk.list(folder) } catch {
            guard error.isMissing else { throw error }
            return []
        }
    }
}

extension SegmentStore {
    /// Looks again at what only snapshots hold; ``space`` tells it.
    func noteHeldBytes() {
        do throws(DiskError) {
            let bytes = try SnapshotHolding.bytes(disk)
            shared.withLock { $0.space.snapshotBytes = bytes }
        } catch { configuration.log(.warning, "\(error)") }
    }
}
