internal import ArgumentParser
internal import HostIO
internal import SegmentStore

/// `crest store snapshot`: the store as it is now, in a folder of its own.
struct StoreSnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Make a snapshot of everything acknowledged until now.",
        discussion: """
            Asks the running daemon, which goes on taking spans; with --data-dir it works on a stopped directory \
            under its lock. The snapshot lies in the data directory's folder snapshots. It is made of hard links: \
            what has not changed since an earlier one costs nothing. The daemon removes snapshots that are older \
            than its --snapshot-age.

            EXAMPLES:
              crest store snapshot
              crest store snapshot --list
              crest store snapshot --data-dir /var/lib/crest
            """)

    @Flag(help: "List the snapshots there are and make none.")
    var list = false

    @Option(help: ArgumentHelp("A stopped data directory.", valueName: "dir"))
    var dataDir: String?

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        if let dataDir { return try local(dataDir) }
        let server = try server.connect()
        if list {
            let answer = try await server.get("/api/crest/v1/snapshots")
            return show(answer["snapshots"]?.items ?? [], isList: true)
        }
        let answer = try await server.post("/api/crest/v1/snapshots", contentType: "application/json", body: "")
        do { show([try JSONParser.parse(answer.body)], isList: false) } catch {
            throw Failure.error("the server did not answer with JSON")
        }
    }

    private func local(_ path: String) throws {
        guard !list else { return show(try withStore(path) { $0.snapshots() }.map { value($0, path) }, isList: true) }
        let made = try withStore(path) { store in try store.snapshot() }
        show([value(made, path)], isList: false)
    }

    /// Opens the store for this one thing; what a crash left in its WAL is sealed as at any start.
    private func withStore<Value>(_ path: String, _ body: (SegmentStore) throws -> Value) throws -> Value {
        let disk: HostDisk
        do { disk = try HostDisk(existing: path) } catch { throw Failure.error("\(path): \(error)") }
        var configuration = StoreConfiguration(wallClock: SystemClock.now)
        configuration.runsThreads = false
        configuration.log = { level, text in if level != .info { Output.note("crest: \(text)") } }
        do {
            let store = try SegmentStore.open(disk, configuration: configuration)
            defer { store.close() }
            return try body(store)
        } catch let error as StoreOpenError {
            if case .inUse = error {
                throw Failure.error("\(path) is in use by a running crestd; leave --data-dir out to ask the daemon")
            }
            throw Failure.error("\(path): \(error)")
        } catch let error as SnapshotError {
            throw Failure.error("\(path): \(error)")
        }
    }

    private func value(_ named: NamedSnapshot, _ path: String) -> JSONValue {
        let snapshot = named.snapshot
        return .object([
            ("id", .string(named.id)),
            ("created", .string(TimestampText.format(unixNanoseconds: Int64(clamping: snapshot.created)))),
            ("spans", .number("\(snapshot.spans)")), ("bytes", .number("\(snapshot.bytes)")),
            ("segments", .number("\(snapshot.segments)")), ("lastSequence", .number("\(snapshot.lastSequence)")),
            ("path", .string("\(path)/\(StorePath.snapshotDirectory)/\(named.id)")),
        ])
    }

    private func show(_ snapshots: [JSONValue], isList: Bool) {
        if output == .json { return printJSON(isList ? .array(snapshots) : snapshots.first ?? .null) }
        if snapshots.isEmpty { return Output.note("there are no snapshots") }
        var table = Table([("SPANS", .right), ("SIZE", .right), ("SEGMENTS", .right), ("SNAPSHOT", .left)])
        for snapshot in snapshots {
            table.append([
                snapshot["spans"]?.text ?? "", NumberText.bytes(snapshot["bytes"]?.integer ?? 0),
                snapshot["segments"]?.text ?? "", snapshot["path"]?.text ?? "",
            ])
        }
        printTable(table)
    }
}
