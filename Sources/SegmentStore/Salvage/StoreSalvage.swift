internal import Telemetry

/// Builds a clean data directory out of everything that a damaged one still has, and says exactly what it has not.
///
/// The damaged directory is only read; the caller holds its lock. The new one has no WAL and nothing in quarantine:
/// whole segments byte for byte, damaged ones written anew from their readable blocks, and segments made of what the
/// WAL still held. Its ledger continues the old one, with what was lost now in the term `lost`. META and MANIFEST come
/// last, so that an interrupted salvage is not taken for a store. Blocks, and takes as much memory as a start.
/// Source: schemas/disk/salvage.md.
package struct StoreSalvage {
    let source: RescuedDisk
    /// Nil for a trial run: everything is read and judged, nothing is written.
    let target: (any Disk)?
    let configuration: StoreConfiguration
    var report = SalvageReport()
    var manifest = Manifest(storeID: [])
    var meta: StoreMeta?
    /// The damaged directory's, when it can be read.
    var loaded: Manifest?
    var tombstones = Tombstones()
    /// Segments of which nothing can be read and no list tells the spans.
    var uncounted: [SalvageCandidate] = []
    /// Files made in the target, for undoing.
    private var made: [String] = []
    /// Folders made beside those that every store has; outer ones first.
    var madeFolders: [String] = []

    /// - Parameters:
    ///   - source: the damaged directory.
    ///   - target: an empty directory; nil for a trial run.
    ///   - configuration: gives the clock, the compression level and the size of new segments.
    package init(from source: any Disk, to target: (any Disk)?, configuration: StoreConfiguration) {
        self.source = RescuedDisk(source)
        self.target = target
        var quiet = configuration
        quiet.log = { _, _ in }
        self.configuration = quiet
    }

    package mutating func run() throws(SalvageError) -> SalvageReport {
        if let target {
            let isEmpty = try onTarget { () throws(DiskError) in try target.list("").isEmpty }
            guard isEmpty else { throw .notEmpty }
        }
        do throws(SalvageError) {
            try makeFolders()
            try identify()
            try saveSegments()
            try saveWAL()
            try saveMetrics()
            try finish()
        } catch {
            undo()
            throw error
        }
        report.notes += source.findings
        report.manifest = manifest
        report.lostSpans = manifest.removed.lost &- (loaded?.removed.lost ?? 0)
        return report
    }

    // MARK: Who it is

    private mutating func identify() throws(SalvageError) {
        loaded = try small(StorePath.manifest, Manifest.decode)
        meta = try small(StorePath.meta, StoreMeta.decode)
        let recovery = Recovery(disk: source, configuration: configuration)
        let ofFiles: [UInt8]?
        do { ofFiles = try recovery.storeIDOfFiles() } catch { ofFiles = nil }
        guard let storeID = meta?.storeID ?? loaded?.storeID ?? ofFiles else { throw .nothingFound }
        if let found = loaded, found.storeID != storeID {
            note(StorePath.manifest, "of another store than META, not used")
            loaded = nil
        }
        manifest = loaded ?? Manifest(storeID: storeID)
        manifest.segments = []
        try readTombstones()
    }

    /// A small file, decoded; nil and a note when it is missing or damaged.
    private mutating func small<Value>(
        _ path: String, _ decode: ([UInt8]) throws(UnknownFormat) -> Value?
    ) throws(SalvageError) -> Value? {
        let bytes: [UInt8]
        do { bytes = try source.readAll(path, limit: 1 << 30) } catch {
            note(path, error.isMissing ? "missing, made anew" : error.description)
            return nil
        }
        do throws(UnknownFormat) {
            if let value = try decode(bytes) { return value }
        } catch { throw .unknownFormat(path, major: error.major) }
        note(path, "damaged, made anew", bytes: 0..<UInt64(bytes.count))
        return nil
    }

    private mutating func readTombstones() throws(SalvageError) {
        let bytes: [UInt8]
        do { bytes = try source.readAll(StorePath.tombstones, limit: 1 << 30) } catch {
            if !error.isMissing { note(StorePath.tombstones, error.description) }
            return
        }
        do throws(UnknownFormat) {
            if let found = try Tombstones.decode(bytes, storeID: manifest.storeID) { return tombstones = found }
        } catch { throw .unknownFormat(StorePath.tombstones, major: error.major) }
        note(
            StorePath.tombstones, "damaged: traces deleted a short time ago may show again",
            bytes: 0..<UInt64(bytes.count))
    }

    mutating func note(_ path: String, _ reason: String, bytes: Range<UInt64>? = nil, isDamage: Bool = true) {
        report.notes.append(StoreFinding(path, bytes: bytes, reason, isDamage: isDamage))
    }

    // MARK: The target

    func onTarget<Value>(_ body: () throws(DiskError) -> Value) throws(SalvageError) -> Value {
        do { return try body() } catch { throw .target(error) }
    }

    private func makeFolders() throws(SalvageError) {
        guard let target else { return }
        for directory in [StorePath.walDirectory, StorePath.segmentDirectory, StorePath.quarantineDirectory] {
            try onTarget { () throws(DiskError) in try target.makeDirectory(directory) }
        }
    }

    /// Makes a synced file; `fill` gets a writer of its bytes. Writes nowhere in a trial run.
    mutating func make(
        _ path: String, _ fill: (_ write: ([UInt8]) throws(DiskError) -> Void) throws(SalvageError) -> Void
    ) throws(SalvageError) {
        guard let target else { return try fill { (_) throws(DiskError) in } }
        let file = try onTarget { () throws(DiskError) in try target.create(path) }
        made.append(path)
        defer { file.close() }
        try fill { (bytes) throws(DiskError) in try file.append(bytes) }
        try onTarget { () throws(DiskError) in try file.syncData() }
    }

    private mutating func finish() throws(SalvageError) {
        manifest.edition &+= 1
        manifest.closedInOrder = true
        manifest.segments.sort { $0.id < $1.id }
        manifest.nextSegmentID = max(manifest.nextSegmentID, manifest.segments.map { $0.id &+ 1 }.max() ?? 1)
        manifest.stored = manifest.liveSpans &+ manifest.removed.total
        guard let target else { return }
        let identity = meta ?? StoreMeta(storeID: manifest.storeID, created: configuration.wallClock())
        made += [StorePath.tombstones, StorePath.meta, StorePath.manifest]
        try onTarget { () throws(DiskError) in
            try target.syncDirectory(StorePath.segmentDirectory)
            if !tombstones.isEmpty {
                try target.replace(
                    StorePath.tombstones, with: tombstones.encoded(storeID: manifest.storeID), in: "")
            }
            try target.replace(StorePath.meta, with: identity.encoded(), in: "")
            try target.replace(StorePath.manifest, with: manifest.encoded(), in: "")
        }
    }

    /// Takes away what this attempt made; what is not there was not made.
    private func undo() {
        guard let target else { return }
        for path in made {
            try? target.remove(path)
            try? target.remove(path + StorePath.draftSuffix)
        }
        let folders = [StorePath.walDirectory, StorePath.segmentDirectory, StorePath.quarantineDirectory]
        for directory in folders + madeFolders.reversed() { try? target.removeDirectory(directory) }
    }
}
