package import SegmentStore
internal import Synchronization

/// A disk that does not do everything it is told: what a store with a bug would have left out, turned round or written
/// wrong, without any switch in the store itself.
///
/// Each rule sees the call before the disk below does, and may answer for it.
package final class FaultyDisk: Disk {
    package struct Rules: Sendable {
        /// True: the sync of this file reports success and does nothing.
        package var dropsSync: @Sendable (String) -> Bool = { _ in false }
        /// True: the sync of this folder reports success and does nothing.
        package var dropsDirectorySync: @Sendable (String) -> Bool = { _ in false }
        package var dropsRename: @Sendable (_ from: String, _ to: String) -> Bool = { _, _ in false }
        package var dropsRemove: @Sendable (String) -> Bool = { _ in false }
        package var dropsLink: @Sendable (String) -> Bool = { _ in false }
        /// Errors of appends and syncs of these files are swallowed.
        package var ignoresErrors: @Sendable (String) -> Bool = { _ in false }
        /// True: these bytes cannot be read (EIO).
        package var failsRead: @Sendable (_ path: String, _ bytes: Range<UInt64>) -> Bool = { _, _ in false }
        /// What is written instead of the bytes given.
        package var rewrites: (@Sendable (_ path: String, _ bytes: [UInt8]) -> [UInt8])?
        /// Runs before a file is created.
        package var beforeCreate: @Sendable (_ disk: SimulatedDisk, _ path: String) -> Void = { _, _ in }
        /// Runs before a name is changed.
        package var beforeRename: @Sendable (_ disk: SimulatedDisk, _ from: String, _ to: String) -> Void = { _, _, _ in
        }
        /// What a folder's listing becomes.
        package var lists: @Sendable (_ directory: String, [DiskEntry]) -> [DiskEntry] = { $1 }
        package var size: @Sendable (_ path: String, UInt64) -> UInt64 = { $1 }
        package var sharesLock = false
        /// True: the free space is asked for once.
        package var remembersSpace = false

        package init() {}
    }

    private let disk: SimulatedDisk
    let rules: Rules
    private let knownSpace = Mutex<DiskSpace?>(nil)

    package init(_ disk: SimulatedDisk, _ rules: Rules) {
        self.disk = disk
        self.rules = rules
    }

    package func create(_ path: String) throws(DiskError) -> any DiskFile {
        rules.beforeCreate(disk, path)
        return FaultyFile(try disk.create(path), path, rules)
    }

    package func open(_ path: String) throws(DiskError) -> any DiskFile {
        FaultyFile(try disk.open(path), path, rules)
    }

    package func rename(_ path: String, to target: String) throws(DiskError) {
        rules.beforeRename(disk, path, target)
        if !rules.dropsRename(path, target) { try disk.rename(path, to: target) }
    }

    package func remove(_ path: String) throws(DiskError) {
        if !rules.dropsRemove(path) { try disk.remove(path) }
    }

    package func link(_ path: String, to target: String) throws(DiskError) {
        if !rules.dropsLink(target) { try disk.link(path, to: target) }
    }

    package func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
    package func removeDirectory(_ path: String) throws(DiskError) { try disk.removeDirectory(path) }

    package func list(_ directory: String) throws(DiskError) -> [DiskEntry] {
        rules.lists(directory, try disk.list(directory))
    }

    package func syncDirectory(_ directory: String) throws(DiskError) {
        if !rules.dropsDirectorySync(directory) { try disk.syncDirectory(directory) }
    }

    package func lock(_ path: String) throws(DiskError) -> any DiskFile {
        do { return try disk.lock(path) } catch {
            guard rules.sharesLock, error.isInUse else { throw error }
            return try disk.open(path)
        }
    }

    package func space() throws(DiskError) -> DiskSpace {
        let known = knownSpace.withLock { $0 }
        if rules.remembersSpace, let known { return known }
        let space = try disk.space()
        knownSpace.withLock { $0 = space }
        return space
    }
}

private final class FaultyFile: DiskFile {
    private let file: any DiskFile
    private let path: String
    private let rules: FaultyDisk.Rules

    init(_ file: any DiskFile, _ path: String, _ rules: FaultyDisk.Rules) {
        self.file = file
        self.path = path
        self.rules = rules
    }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        let range = offset..<(offset &+ UInt64(max(count, 0)))
        if rules.failsRead(path, range) { throw DiskError(call: .read, path: path, code: 5) }
        return try file.read(at: offset, count: count)
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        do throws(DiskError) {
            guard let rewrites = rules.rewrites else { return try file.append(pieces) }
            try file.append(rewrites(path, pieces.flatMap { [UInt8]($0) }))
        } catch { if !rules.ignoresErrors(path) { throw error } }
    }

    func syncData() throws(DiskError) {
        if rules.dropsSync(path) { return }
        do throws(DiskError) { try file.syncData() } catch { if !rules.ignoresErrors(path) { throw error } }
    }

    func preallocate(_ bytes: UInt64) throws(DiskError) { try file.preallocate(bytes) }
    func size() throws(DiskError) -> UInt64 { rules.size(path, try file.size()) }
    func close() { file.close() }
}
