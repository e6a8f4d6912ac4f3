internal import Synchronization
internal import Telemetry

/// One snapshot is made or removed at a time: held over the whole of it, outside of every other lock.
struct SnapshotTurn {
    /// Trusted time of the last look for old snapshots.
    var lastLook: UInt64 = 0
}

/// Making, listing and removing snapshots. Works on a running store and on one opened for it alone.
///
/// Order, and what a crash after each line leaves: folder; links to the segments; META and MANIFEST; folder synced
/// (until here it is no snapshot, and the next start or snapshot removes it); SNAPSHOT (from here on it is one).
/// Source: schemas/disk/snapshot.md, "Making one".
extension SegmentStore {
    private static let lookNanoseconds: UInt64 = 60 * 1_000_000_000
    /// A head that is handed over may find a new one filled meanwhile, never this often.
    private static let sealAttempts = 64

    /// Makes a snapshot of exactly what was acknowledged until now, or a little later, in the order of the WAL.
    /// Seals what is in memory and links every live segment; commits go on meanwhile. Blocks for as long.
    package func snapshot() throws(SnapshotError) -> NamedSnapshot {
        try snapshotTurn.withLock { (_) throws(SnapshotError) in
            removeUnfinished()
            try sealCommitted()
            return try upkeep.withLock { (state) throws(SnapshotError) in
                var manifest = state.manifest
                manifest.closedInOrder = true
                manifest.clockHighWater = state.clock.highWater
                manifest.stored = manifest.liveSpans &+ manifest.removed.total
                let made = try write(manifest)
                noteHeldBytes()
                return made
            }
        }
    }

    /// Every whole snapshot, oldest first.
    package func snapshots() -> [NamedSnapshot] {
        snapshotFolders().compactMap { id in
            guard case .whole(let snapshot) = mark(of: id) else { return nil }
            return NamedSnapshot(id: id, snapshot: snapshot)
        }
    }

    /// Removes snapshots older than the configured age, and what an interrupted one left.
    /// - Parameter now: trusted wall time, unix nanoseconds.
    func expireSnapshots(now: UInt64) {
        _ = snapshotTurn.withLockIfAvailable { turn in
            guard turn.lastLook == 0 || now > turn.lastLook &+ Self.lookNanoseconds else { return }
            turn.lastLook = now
            removeUnfinished()
            defer { noteHeldBytes() }
            guard let age = configuration.snapshotAge else { return }
            for old in snapshots() where now > old.snapshot.created && now - old.snapshot.created > age {
                remove(old.id)
                configuration.log(.info, "snapshot \(old.id) is too old and was removed")
            }
        }
    }

    /// Until no record committed before the call is in memory only.
    private func sealCommitted() throws(SnapshotError) {
        let cut = commits.withLock { $0.nextSequence &- 1 }
        for _ in 0..<Self.sealAttempts {
            if shared.withLock({ $0.isClosed }) { throw .closed }
            commits.withLock { rotate(&$0) }
            let isWaiting = shared.withLock { shared in
                ([shared.active] + shared.sealing.map(\.head)).contains { !$0.isEmpty && $0.sequences.first <= cut }
            }
            guard isWaiting else { return }
            let failures = upkeep.withLock { $0.failures }
            if !sealStep(), upkeep.withLock({ $0.failures }) > failures { throw .notSealed }
        }
        throw .notSealed
    }

    private func write(_ manifest: Manifest) throws(SnapshotError) -> NamedSnapshot {
        let created = configuration.wallClock()
        let taken = Set(snapshotFolders())
        let time = StorePath.snapshotID(created: created)
        var id = time
        var number = 2
        while taken.contains(id) {
            id = "\(time)-\(number)"
            number += 1
        }
        let snapshot = Snapshot(manifest, created: created)
        do throws(DiskError) {
            try fill(StorePath.snapshot(id), manifest, snapshot)
            return NamedSnapshot(id: id, snapshot: snapshot)
        } catch {
            remove(id)
            throw .disk(error)
        }
    }

    private func fill(_ folder: String, _ manifest: Manifest, _ snapshot: Snapshot) throws(DiskError) {
        try disk.makeDirectory(StorePath.snapshotDirectory)
        try disk.syncDirectory("")
        try disk.makeDirectory(folder)
        let segments = "\(folder)/\(StorePath.segmentDirectory)"
        try disk.makeDirectory(segments)
        try disk.syncDirectory(StorePath.snapshotDirectory)
        for segment in manifest.segments { try disk.link(segment.path, to: "\(folder)/\(segment.path)") }
        try disk.syncDirectory(segments)
        try disk.link(StorePath.meta, to: "\(folder)/\(StorePath.meta)")
        // Deleted traces whose spans are still in a segment stay deleted; the files are replaced, never changed.
        for name in [StorePath.tombstones, StorePath.pins] {
            do { try disk.link(name, to: "\(folder)/\(name)") } catch {
                guard error.isMissing else { throw error }
            }
        }
        try disk.replace("\(folder)/\(StorePath.manifest)", with: manifest.encoded(), in: folder)
        try disk.replace("\(folder)/\(StorePath.snapshotMark)", with: snapshot.encoded(), in: folder)
    }

    // MARK: Folders

    private enum Mark {
        case whole(Snapshot)
        case damaged
        case missing
    }

    private func mark(of id: String) -> Mark {
        do {
            let path = "\(StorePath.snapshot(id))/\(StorePath.snapshotMark)"
            let bytes = try disk.readAll(path, limit: UInt64(Snapshot.byteCount) + 1)
            return try Snapshot.decode(bytes).map { .whole($0) } ?? .damaged
        } catch {
            return (error as? DiskError)?.isMissing == true ? .missing : .damaged
        }
    }

    private func snapshotFolders() -> [String] {
        do {
            return try disk.list(StorePath.snapshotDirectory).filter { !$0.isRegularFile }.map(\.name)
        } catch {
            if !error.isMissing { configuration.log(.warning, "\(error)") }
            return []
        }
    }

    /// A folder without a SNAPSHOT never was one. A damaged SNAPSHOT was: that is kept.
    private func removeUnfinished() {
        for id in snapshotFolders() { if case .missing = mark(of: id) { remove(id) } }
    }

    /// SNAPSHOT goes first, so that no half of one ever counts.
    private func remove(_ id: String) {
        let folder = StorePath.snapshot(id)
        do throws(DiskError) {
            let mark = "\(folder)/\(StorePath.snapshotMark)"
            do { try disk.remove(mark) } catch { if !error.isMissing { throw error } }
            try disk.syncDirectory(folder)
            for directory in ["\(folder)/\(StorePath.segmentDirectory)", folder] {
                for entry in try disk.list(directory) where entry.isRegularFile {
                    try disk.remove("\(directory)/\(entry.name)")
                }
                try disk.removeDirectory(directory)
            }
            try disk.syncDirectory(StorePath.snapshotDirectory)
        } catch {
            if !error.isMissing { configuration.log(.warning, "\(error); the snapshot is removed later") }
        }
    }
}
