internal import ArgumentParser
internal import HostIO
internal import SegmentStore

/// `crest store`: the data directory itself.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Snapshot, restore, verify, list, inspect and salvage a data directory.",
        discussion: """
            snapshot asks the running daemon, or works on a stopped directory with --data-dir. verify and ls work on \
            a stopped directory, which they lock, or on a snapshot; they change nothing. restore makes a new \
            directory out of a snapshot. inspect shows what a stopped directory or any single file holds, salvage \
            makes a new directory out of a damaged, stopped one.

            EXAMPLES:
              crest store snapshot
              crest store restore crest-data/snapshots/20261125T200310.123Z --to /var/lib/crest-restored
              crest store verify /var/lib/crest
              crest store ls /var/lib/crest -o json
              crest store inspect /var/lib/crest --columns
              crest store salvage /var/lib/crest --to /var/lib/crest-salvaged
            """,
        subcommands: [
            StoreSnapshotCommand.self, StoreRestoreCommand.self, StoreVerifyCommand.self, StoreListCommand.self,
            StoreInspectCommand.self, StoreSalvageCommand.self,
        ])
}

/// A directory that is opened here and not through the daemon.
struct StoppedDirectory {
    let disk: HostDisk
    /// Nil for a directory that no daemon ever opened, such as a snapshot.
    private let lock: (any DiskFile)?

    /// Takes the lock, so that no daemon starts meanwhile.
    init(_ path: String) throws(Failure) {
        do throws(DiskError) {
            disk = try HostDisk(existing: path)
            let isLockable = try disk.list("").contains { $0.name == StorePath.lock }
            lock = isLockable ? try disk.lock(StorePath.lock) : nil
        } catch {
            if error.isInUse { throw .error("\(path) is in use by a running crestd; stop it first") }
            throw .error("\(path): \(error)")
        }
    }

    func close() { lock?.close() }
}
