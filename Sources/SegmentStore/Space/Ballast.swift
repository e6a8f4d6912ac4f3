internal import Synchronization

/// A file of reserved blocks that is given up when the disk is full, so that MANIFEST and TOMBSTONES, and with them
/// retention and deletion, still have room.
///
/// Source: schemas/disk/README.md, "BALLAST".
final class Ballast: Sendable {
    private let disk: any Disk
    private let held = Mutex<UInt64>(0)

    init(_ disk: any Disk) { self.disk = disk }

    /// Bytes set aside now.
    var byteCount: UInt64 { held.withLock { $0 } }

    /// Sets `bytes` aside, unless that is done. What an earlier run left is taken over.
    func reserve(_ bytes: UInt64) throws(DiskError) {
        guard bytes > 0, byteCount == 0 else { return }
        let file: any DiskFile
        do { file = try disk.create(StorePath.ballast) } catch {
            guard error.isThere else { throw error }
            return held.withLock { $0 = bytes }
        }
        do {
            try file.preallocate(bytes)
            file.close()
        } catch {
            file.close()
            // Best effort: what is left of it is small, and the next start takes it over.
            try? disk.remove(StorePath.ballast)
            throw error
        }
        held.withLock { $0 = bytes }
    }

    /// Gives the blocks back. False when there were none.
    @discardableResult
    func release() -> Bool {
        guard
            held.withLock({ held in
                defer { held = 0 }; return held > 0
            })
        else { return false }
        do { try disk.remove(StorePath.ballast) } catch { return false }
        return true
    }
}

extension Disk {
    /// Writes a whole small file, if need be in the room of the ballast that an earlier run left.
    func replaceInNeed(_ path: String, with bytes: [UInt8]) throws(DiskError) {
        do { return try replace(path, with: bytes, in: "") } catch {
            guard error.isFull, (try? remove(StorePath.ballast)) != nil else { throw error }
        }
        try replace(path, with: bytes, in: "")
    }
}

extension SegmentStore {
    /// Writes a whole small file, if need be in the room of the ballast.
    func replaceInNeed(_ path: String, with bytes: [UInt8]) throws(DiskError) {
        do { return try disk.replace(path, with: bytes, in: "") } catch {
            guard error.isFull, ballast.release() else { throw error }
        }
        configuration.log(.warning, "the disk is full: \(path) is written in the room of the ballast")
        try disk.replace(path, with: bytes, in: "")
    }
}
