internal import Telemetry

/// What opening hands to the store.
struct OpenedStore: Sendable {
    var ownerLock: any DiskFile
    var report: RecoveryReport
    var commit: CommitState
    var upkeep: UpkeepState
    var shared: SharedState
    var segmentFiles: SegmentFileCache
}

/// Opens a data directory after whatever happened to it.
///
/// Order: lock, META, drafts removed, manifest, segments (header and footer of each), WAL replayed group by group and
/// sealed head by head, ledger, manifest written, new WAL file. Nothing is changed that a second run would need: a crash in here only
/// repeats it. Damaged files are kept in `quarantine/`; nothing damaged is deleted or repaired without a word.
struct Recovery {
    let disk: any Disk
    let configuration: StoreConfiguration
    let segmentFiles: SegmentFileCache
    let inflater = PieceInflater()
    var report = RecoveryReport()
    var shared = SharedState()
    var manifest = Manifest(storeID: [])
    /// The next sequence that is not accounted for yet.
    var expected: UInt64 = 1
    var nextSegmentID: UInt64 = 1
    var losses: [Loss] = []
    /// False for who must not write to the disk.
    var sealsFullHeads = true
    var sealUnderWay: ReplayedSeal?

    init(disk: any Disk, configuration: StoreConfiguration) {
        self.disk = disk
        self.configuration = configuration
        segmentFiles = SegmentFileCache(disk, limit: configuration.openSegments)
    }

    mutating func run() throws(StoreOpenError) -> OpenedStore {
        do {
            let ownerLock = try disk.lock(StorePath.lock)
            for directory in [StorePath.walDirectory, StorePath.segmentDirectory, StorePath.quarantineDirectory] {
                try disk.makeDirectory(directory)
            }
            try disk.syncDirectory("")
            try removeDrafts()
            try identify()
            try loadTombstones()
            try loadSegments()
            try loadPins()
            try replay()
            try clampTombstones()
            return try finish(ownerLock)
        } catch let error as DiskError {
            throw StoreOpenError(error)
        } catch let error as StoreOpenError {
            throw error
        } catch {
            throw .disk(DiskError(call: .open, path: "\(error)", code: DiskError.unexpectedEnd))
        }
    }

    private mutating func removeDrafts() throws(DiskError) {
        for directory in ["", StorePath.walDirectory, StorePath.segmentDirectory] {
            for entry in try disk.list(directory)
            where entry.isRegularFile && entry.name.hasSuffix(StorePath.draftSuffix) {
                try disk.remove(directory.isEmpty ? entry.name : "\(directory)/\(entry.name)")
                report.draftsRemoved += 1
            }
        }
    }

    // MARK: META and MANIFEST

    /// Finds out which store this is, and reads the manifest if it is of this store.
    private mutating func identify() throws {
        let loaded = try load(StorePath.manifest, Manifest.decode)
        let meta = try load(StorePath.meta, StoreMeta.decode)
        let isEmpty = try disk.list(StorePath.walDirectory).isEmpty && disk.list(StorePath.segmentDirectory).isEmpty
        report.isNew = meta == nil && loaded == nil && isEmpty
        let storeID = try meta?.storeID ?? loaded?.storeID ?? storeIDOfFiles() ?? newStoreID()
        if meta == nil {
            if !report.isNew { problem("META was damaged or missing and is written anew") }
            let new = StoreMeta(storeID: storeID, created: configuration.wallClock())
            try disk.replaceInNeed(StorePath.meta, with: new.encoded())
        }
        if let loaded, loaded.storeID == storeID {
            manifest = loaded
            report.closedInOrder = loaded.closedInOrder
        } else {
            manifest = Manifest(storeID: storeID)
            report.isManifestRebuilt = !isEmpty
        }
        nextSegmentID = manifest.nextSegmentID
    }

    /// A small file, decoded; nil when it is missing or damaged.
    private func load<Value>(
        _ path: String, _ decode: ([UInt8]) throws(UnknownFormat) -> Value?
    ) throws -> Value? {
        let bytes: [UInt8]
        do { bytes = try disk.readAll(path, limit: 1 << 30) } catch {
            if error.isMissing { return nil }
            throw error
        }
        do { return try decode(bytes) } catch {
            throw StoreOpenError.unknownFormat(path: path, major: error.major)
        }
    }

    func storeIDOfFiles() throws -> [UInt8]? {
        for entry in try disk.list(StorePath.walDirectory) where StorePath.firstSequence(ofWAL: entry.name) != nil {
            let file = try disk.open("\(StorePath.walDirectory)/\(entry.name)")
            defer { file.close() }
            if let header = try? WALScanner.header(of: file, size: entry.byteCount) { return header.storeID }
        }
        for entry in try disk.list(StorePath.segmentDirectory) where StorePath.id(ofSegment: entry.name) != nil {
            let path = "\(StorePath.segmentDirectory)/\(entry.name)"
            if let reader = try? SegmentReader(file: try disk.open(path), name: path) { return reader.identity.storeID }
        }
        return nil
    }

    private func newStoreID() -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<2 { withUnsafeBytes(of: configuration.random().littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    // MARK: Quarantine

    mutating func problem(_ text: String) {
        report.problems.append(text)
        configuration.log(.warning, "recovery: \(text)")
    }

    /// Keeps a second name of a damaged file; the file stays where it is.
    mutating func keepCopy(_ path: String) throws(DiskError) {
        let name = String(path.split(separator: "/").last ?? "")
        do { try disk.link(path, to: StorePath.quarantine(name)) } catch {
            if !error.isThere { throw error }
        }
        try disk.syncDirectory(StorePath.quarantineDirectory)
        report.quarantined.append(name)
    }

    /// Moves a damaged file out of the way.
    mutating func moveAway(_ path: String) throws(DiskError) {
        let name = String(path.split(separator: "/").last ?? "")
        try disk.rename(path, to: StorePath.quarantine(name))
        try disk.syncDirectory(StorePath.quarantineDirectory)
        try disk.syncDirectory(StorePath.segmentDirectory)
        report.quarantined.append(name)
    }

    // MARK: The last step

    private mutating func finish(_ ownerLock: any DiskFile) throws(DiskError) -> OpenedStore {
        let kept = try disk.list(StorePath.quarantineDirectory).count
        if kept > 0, report.problems.isEmpty { problem("\(kept) files are in quarantine") }
        manifest.closedInOrder = false
        manifest.nextSegmentID = max(manifest.nextSegmentID, manifest.segments.map { $0.id &+ 1 }.max() ?? 1)
        var upkeep = UpkeepState(
            manifest: manifest, clock: RetentionClock(highWater: manifest.clockHighWater), pendingLosses: losses)
        upkeep.settleLosses()
        upkeep.manifest.edition &+= 1
        upkeep.manifest.stored = upkeep.manifest.liveSpans &+ upkeep.manifest.removed.total
        do { try disk.replaceInNeed(StorePath.manifest, with: upkeep.manifest.encoded()) } catch {
            guard error.isFull else { throw error }
            // The old one and the directory say the same.
            upkeep.isManifestStale = true
            configuration.log(.error, "manifest: \(error)")
        }
        var commit = CommitState(
            writer: nil, nextSequence: expected, spansBefore: shared.stored, storeID: manifest.storeID,
            nextSegmentID: nextSegmentID)
        if configuration.durability != .memory { commit.writer = try newWAL() }
        shared.problems = report.problems
        return OpenedStore(
            ownerLock: ownerLock, report: report, commit: commit, upkeep: upkeep, shared: shared,
            segmentFiles: segmentFiles)
    }

    /// The file that takes the next records. Nil on a full disk, where the store can still be read.
    private mutating func newWAL() throws(DiskError) -> WALWriter? {
        let header = WALFileHeader(
            storeID: manifest.storeID, firstSequence: expected, spansBefore: shared.stored,
            salt: configuration.random())
        do {
            let writer = try WALWriter.create(header, on: disk)
            shared.walFiles.removeAll { $0.path == writer.path }
            shared.walFiles.append(
                WALFile(path: writer.path, firstSequence: expected, byteCount: writer.byteCount))
            return writer
        } catch {
            guard error.isFull else { throw error }
            shared.readOnly = "\(error)"
            configuration.log(.error, "read-only: \(error)")
            return nil
        }
    }
}
