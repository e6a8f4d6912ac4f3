/// A data directory or snapshot in numbers: what each kind of file holds. Changes nothing; the caller holds the lock.
package struct DirectoryFacts: Sendable {
    package private(set) var meta: StoreMeta?
    package private(set) var manifest: Manifest?
    package private(set) var tombstones: TombstoneFacts?
    package private(set) var segments: [SegmentFacts] = []
    package private(set) var wal: [WALFacts] = []
    package private(set) var metricsLogs: [MetricsLogFacts] = []
    package private(set) var snapshots: [String] = []
    /// Names in `quarantine/`.
    package private(set) var quarantined: [DiskEntry] = []
    /// Files that cannot be read.
    package private(set) var unreadable: [StoreFinding] = []
    /// Of all segments together; empty when it was not asked for.
    package private(set) var columns: [ColumnFacts] = []

    /// - Parameter readsColumns: also reads every column of every segment.
    package init(_ disk: any Disk, readsColumns: Bool) throws(DiskError) {
        let top = try disk.list("")
        for entry in top where entry.isRegularFile {
            guard [StorePath.meta, StorePath.manifest, StorePath.tombstones].contains(entry.name) else { continue }
            do {
                switch try FileFacts(entry.name, disk) {
                case .meta(let found): meta = found
                case .manifest(let found): manifest = found
                case .tombstones(let found): tombstones = found
                default: unreadable.append(StoreFinding(entry.name, "another kind of file"))
                }
            } catch { unreadable.append(StoreFinding(entry.name, "\(error)")) }
        }
        let folders = Set(top.filter { !$0.isRegularFile }.map(\.name))
        if folders.contains(StorePath.segmentDirectory) { try readSegments(disk, readsColumns) }
        if folders.contains(StorePath.walDirectory) {
            let found = try WALFacts.list(disk)
            wal = found.files
            unreadable += found.unreadable
        }
        if folders.contains(StorePath.metricsDirectory) { try readMetricsLogs(disk, StorePath.metricsDirectory) }
        if folders.contains(StorePath.tenantsDirectory) { try readTenants(disk) }
        if folders.contains(StorePath.snapshotDirectory) {
            snapshots = try disk.list(StorePath.snapshotDirectory).filter { !$0.isRegularFile }.map(\.name)
        }
        if folders.contains(StorePath.quarantineDirectory) {
            quarantined = try disk.list(StorePath.quarantineDirectory)
        }
    }

    private mutating func readSegments(_ disk: any Disk, _ readsColumns: Bool) throws(DiskError) {
        let found = try SegmentFacts.list(disk)
        segments = found.segments
        unreadable += found.unreadable
        guard readsColumns else { return }
        var lists: [[ColumnFacts]] = []
        for segment in segments {
            do throws(SegmentError) {
                let file = try SegmentFacts.open(segment.path, disk)
                lists.append(try SegmentReader(file: file, name: segment.path).columnFacts())
            } catch { unreadable.append(StoreFinding(segment.path, error.description)) }
        }
        columns = ColumnFacts.sum(lists)
    }

    private mutating func readTenants(_ disk: any Disk) throws(DiskError) {
        for tenant in try disk.list(StorePath.tenantsDirectory) where !tenant.isRegularFile {
            let folder = StorePath.tenant(tenant.name)
            let folders = try disk.list(folder).filter { !$0.isRegularFile }.map(\.name)
            guard folders.contains(StorePath.metricsDirectory) else { continue }
            try readMetricsLogs(disk, "\(folder)/\(StorePath.metricsDirectory)")
        }
    }

    private mutating func readMetricsLogs(_ disk: any Disk, _ directory: String) throws(DiskError) {
        for entry in try disk.list(directory) where StorePath.number(ofMetricsLog: entry.name) != nil {
            let path = "\(directory)/\(entry.name)"
            do throws(DiskError) {
                if let facts = try MetricsLogFacts(path, disk) {
                    metricsLogs.append(facts)
                } else {
                    unreadable.append(StoreFinding(path, "header checksum"))
                }
            } catch { unreadable.append(StoreFinding(path, error.description)) }
        }
    }
}
