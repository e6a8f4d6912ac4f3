internal import Bytes

/// Makes a data directory out of a snapshot.
///
/// Everything is checked: the snapshot's own files before anything is written, each segment where it ends up. META and
/// MANIFEST come last, so that an interrupted restore is not taken for a store.
/// Source: schemas/disk/snapshot.md, "Restoring one".
package struct SnapshotRestore {
    private let source: any Disk
    private let target: any Disk
    private let link: (String) throws(DiskError) -> Bool
    private static let copyBytes = 1 << 20

    /// - Parameters:
    ///   - source: the snapshot's folder.
    ///   - target: an empty directory.
    ///   - link: gives the target the file of this path by a hard link; false when that is not possible and it must be
    ///     copied.
    package init(
        from source: any Disk, to target: any Disk,
        link: @escaping (String) throws(DiskError) -> Bool = { (_) throws(DiskError) in false }
    ) {
        self.source = source
        self.target = target
        self.link = link
    }

    /// - Throws: with nothing in the target but files of this attempt; what could be removed of them is.
    package func run() throws(RestoreError) -> Snapshot {
        let (snapshot, manifest, manifestBytes, meta) = try readSource()
        guard try onDisk({ () throws(DiskError) in try target.list("") }).isEmpty else { throw .notEmpty }
        do throws(RestoreError) {
            for directory in [StorePath.walDirectory, StorePath.segmentDirectory, StorePath.quarantineDirectory] {
                try onDisk { () throws(DiskError) in try target.makeDirectory(directory) }
            }
            for segment in manifest.segments { try restore(segment, of: manifest.storeID) }
            try restoreMarks()
            try onDisk { () throws(DiskError) in
                try target.syncDirectory(StorePath.segmentDirectory)
                try target.replace(StorePath.meta, with: meta, in: "")
                try target.replace(StorePath.manifest, with: manifestBytes, in: "")
            }
        } catch {
            undo(manifest)
            throw error
        }
        return snapshot
    }

    private func onDisk<Value>(_ body: () throws(DiskError) -> Value) throws(RestoreError) -> Value {
        do { return try body() } catch { throw .disk(error) }
    }

    /// SNAPSHOT, MANIFEST and META of the snapshot, each whole and of one store.
    private func readSource() throws(RestoreError) -> (Snapshot, Manifest, manifestBytes: [UInt8], meta: [UInt8]) {
        func read(_ path: String) throws(RestoreError) -> [UInt8] {
            do { return try source.readAll(path, limit: 1 << 30) } catch {
                throw error.isMissing ? .noSnapshot(missing: path) : .disk(error)
            }
        }
        let mark = try read(StorePath.snapshotMark)
        let manifestBytes = try read(StorePath.manifest)
        let metaBytes = try read(StorePath.meta)
        do {
            guard let snapshot = try Snapshot.decode(mark) else { throw RestoreError.damaged("SNAPSHOT: checksum") }
            guard crc32c(manifestBytes) == snapshot.manifestChecksum, let manifest = try Manifest.decode(manifestBytes)
            else { throw RestoreError.damaged("MANIFEST: checksum") }
            guard let meta = try StoreMeta.decode(metaBytes) else { throw RestoreError.damaged("META: checksum") }
            guard manifest.storeID == snapshot.storeID, meta.storeID == snapshot.storeID else {
                throw RestoreError.damaged("SNAPSHOT, MANIFEST and META are of different stores")
            }
            return (snapshot, manifest, manifestBytes, metaBytes)
        } catch let error as RestoreError {
            throw error
        } catch {
            throw .damaged("made by a newer version")
        }
    }

    /// Copied, not linked: the restored store writes its own.
    private func restoreMarks() throws(RestoreError) {
        for name in [StorePath.tombstones, StorePath.pins] {
            do throws(DiskError) { try copy(name) } catch {
                guard error.isMissing else { throw .disk(error) }
            }
        }
    }

    private func restore(_ segment: ManifestSegment, of storeID: [UInt8]) throws(RestoreError) {
        try onDisk { () throws(DiskError) in if try !link(segment.path) { try copy(segment.path) } }
        let file = try onDisk { () throws(DiskError) in try target.open(segment.path) }
        defer { file.close() }
        do throws(SegmentError) {
            let reader = try SegmentReader(file: file, name: segment.path)
            try reader.verify()
            guard reader.identity.storeID == storeID, ManifestSegment(reader.identity, reader.summary) == segment else {
                throw .damaged(file: segment.path, block: nil, "not the segment that MANIFEST lists")
            }
        } catch { throw .damaged(error.description) }
    }

    private func copy(_ path: String) throws(DiskError) {
        let from = try source.open(path)
        defer { from.close() }
        let to = try target.create(path)
        defer { to.close() }
        let size = try from.size()
        var offset: UInt64 = 0
        while offset < size {
            let bytes = try from.read(at: offset, count: Int(min(UInt64(Self.copyBytes), size - offset)))
            try to.append(bytes)
            offset += UInt64(bytes.count)
        }
        try to.syncData()
    }

    /// Takes away what this attempt made; what is not there was not made.
    private func undo(_ manifest: Manifest) {
        let marks = [StorePath.tombstones, StorePath.pins, StorePath.meta]
        for path in manifest.segments.map(\.path) + marks { try? target.remove(path) }
        for directory in [StorePath.walDirectory, StorePath.segmentDirectory, StorePath.quarantineDirectory] {
            try? target.removeDirectory(directory)
        }
    }
}

/// Why a snapshot was not restored.
package enum RestoreError: Error, Hashable, Sendable, CustomStringConvertible {
    case disk(DiskError)
    case noSnapshot(missing: String)
    /// The target holds something already.
    case notEmpty
    case damaged(String)

    package var description: String {
        switch self {
        case .disk(let error): error.description
        case .noSnapshot(let path): "not a snapshot: it has no \(path)"
        case .notEmpty: "the target directory is not empty"
        case .damaged(let reason): "the snapshot is damaged: \(reason)"
        }
    }
}
