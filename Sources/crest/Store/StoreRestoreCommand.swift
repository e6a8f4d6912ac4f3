internal import ArgumentParser
internal import HostIO
internal import SegmentStore

/// `crest store restore`: a data directory out of a snapshot.
struct StoreRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a data directory out of a snapshot.",
        discussion: """
            Works on files alone; a running daemon is not disturbed. Links the files where the file system allows, \
            else copies them, and reads every checksum. The result is ready for crestd --data-dir. The target must \
            be empty or not exist; on an error nothing is left in it.

            EXAMPLES:
              crest store restore crest-data/snapshots/20261125T200310.123Z --to /var/lib/crest-restored
            """)

    @Argument(help: "The snapshot's folder, or a copy of it.")
    var snapshot: String

    @Option(help: ArgumentHelp("An empty directory, or one to be made.", valueName: "dir"))
    var to: String

    @Flag(help: "Copy even where links are possible.")
    var copy = false

    func run() throws {
        do {
            let source = try HostDisk(existing: snapshot)
            let target = try HostDisk(to)
            let isCopy = copy
            let restored = try SnapshotRestore(
                from: source, to: target,
                link: { (path) throws(DiskError) in isCopy ? false : try target.link(path, of: source) }
            ).run()
            var output = Output()
            output.line("\(restored.spans) spans in \(restored.segments) segments restored to \(to)")
            output.flush()
        } catch let error as DiskError {
            throw Failure.error("\(error)")
        } catch let error as RestoreError {
            throw Failure.error("\(error)")
        }
    }
}
