internal import Telemetry

/// The part of recovery that finds out what was deleted.
///
/// Source: schemas/disk/manifest.md, "TOMBSTONES".
extension Recovery {
    mutating func loadTombstones() throws {
        let bytes: [UInt8]
        do { bytes = try disk.readAll(StorePath.tombstones, limit: 1 << 30) } catch {
            if error.isMissing { return }
            throw error
        }
        do {
            if let found = try Tombstones.decode(bytes, storeID: manifest.storeID) {
                shared.tombstones = found
            } else {
                problem("\(StorePath.tombstones) is damaged: traces deleted a short time ago may show again")
                try keepCopy(StorePath.tombstones)
            }
        } catch let error as UnknownFormat {
            throw StoreOpenError.unknownFormat(path: StorePath.tombstones, major: error.major)
        }
    }

    /// A record that was lost gives its sequence to a later one, which no deletion meant.
    mutating func clampTombstones() throws {
        let last = expected &- 1
        guard shared.tombstones.marks.values.contains(where: { $0.sequence > last }) else { return }
        for (key, mark) in shared.tombstones.marks where mark.sequence > last {
            shared.tombstones.marks[key]?.sequence = last
        }
        try disk.replaceInNeed(StorePath.tombstones, with: shared.tombstones.encoded(storeID: manifest.storeID))
    }
}
