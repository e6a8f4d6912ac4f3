internal import ArgumentParser
internal import HostIO
internal import SegmentStore

/// `crest store inspect`: what is in a directory or file, and where its bytes go.
struct StoreInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a data directory or one of its files holds.",
        discussion: """
            A directory must be stopped; it is locked and only read. A single file (a segment, a WAL file, a metrics \
            log, META, MANIFEST, TOMBSTONES, SNAPSHOT) is only read and needs no lock, so that it can be looked at \
            under load; the newest WAL file and metrics log may then end in a group that is being written.

            Of a segment every column is shown with its bytes, its bytes a span, and a floor: the entropy of its \
            values when their frequencies are known and their order is not. --columns shows that for all segments of \
            a directory together. Exits 1 when something cannot be read.

            EXAMPLES:
              crest store inspect /var/lib/crest
              crest store inspect /var/lib/crest --columns
              crest store inspect /var/lib/crest/segments/*.L2.seg
              crest store inspect /var/lib/crest/wal/00000000000000000001.wal -o json
            """)

    @Argument(help: "A data directory, the folder of a snapshot, or files of one.")
    var paths: [String]

    @Flag(help: "Of a directory: read all segments and show where their bytes go.")
    var columns = false

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    func run() throws {
        var failures: [String] = []
        for path in paths {
            do throws(Failure) { try inspect(path, &failures) } catch { failures.append(error.message) }
        }
        for failure in failures.dropLast() { Output.note("crest: " + SafeText.escape(failure)) }
        if let last = failures.last { throw Failure.error(SafeText.escape(last)) }
    }

    private func inspect(_ path: String, _ failures: inout [String]) throws(Failure) {
        if (try? HostDisk(existing: path)) != nil {
            let stopped = try StoppedDirectory(path)
            defer { stopped.close() }
            do throws(DiskError) {
                let facts = try DirectoryFacts(stopped.disk, readsColumns: columns)
                failures += facts.unreadable.map { "\(path): \($0)" }
                show(InspectionJSON.directory(facts, path), tables: InspectionTables.directory(facts))
            } catch { throw .error("\(path): \(error)") }
            return
        }
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        do {
            let facts = try FileFacts(name, try HostDisk(existing: folder.isEmpty ? "/" : folder))
            show(InspectionJSON.file(facts, path), tables: InspectionTables.file(facts))
        } catch { throw .error("\(path): \(error)") }
    }

    private func show(_ json: JSONValue, tables: [Table]) {
        if output == .json { return printJSON(json) }
        for (index, table) in tables.enumerated() where !table.isEmpty {
            if index > 0 { printLine("") }
            printTable(table)
        }
    }

    private func printLine(_ text: String) {
        var output = Output()
        output.line(text)
        output.flush()
    }
}
