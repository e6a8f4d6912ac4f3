internal import ArgumentParser
internal import SegmentStore

/// `crest store ls`: the segments of a directory.
struct StoreListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the segments of a data directory or snapshot.",
        discussion: """
            Works on a stopped directory, which it locks, or on a snapshot. Only headers and footers are read; \
            verify reads everything. CLASS is what the traces of a segment are kept as: mixed, ordinary, slow, \
            error or pinned. A note tells the bytes of segments that only snapshots hold, which count towards no \
            limit of retention. Exits 1 when a segment is damaged.

            EXAMPLES:
              crest store ls /var/lib/crest
              crest store ls crest-data/snapshots/20261125T200310.123Z -o json
            """)

    @Argument(help: "A data directory or the folder of a snapshot.")
    var directory: String

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    func run() throws {
        let stopped = try StoppedDirectory(directory)
        defer { stopped.close() }
        let found: (segments: [SegmentFacts], unreadable: [StoreFinding])
        do { found = try SegmentFacts.list(stopped.disk) } catch { throw Failure.error("\(directory): \(error)") }
        let held: UInt64
        do { held = try SnapshotHolding.bytes(stopped.disk) } catch { throw Failure.error("\(directory): \(error)") }
        switch output {
        case .json: printJSON(.array(found.segments.map(json)))
        case .table: printTable(table(found.segments))
        }
        if held > 0 { Output.note("crest: snapshots alone hold \(NumberText.bytes(Int64(clamping: held))) more") }
        for finding in found.unreadable { Output.note("crest: " + SafeText.escape(finding.description)) }
        if !found.unreadable.isEmpty { throw Failure.error("\(found.unreadable.count) segments cannot be read") }
    }

    private func table(_ segments: [SegmentFacts]) -> Table {
        var table = Table([
            ("LEVEL", .right), ("CLASS", .left), ("SPANS", .right), ("TRACES", .right), ("SIZE", .right),
            ("FIRST START", .left),
            ("LAST START", .left), ("FILE", .left),
        ])
        for segment in segments {
            let summary = segment.summary
            table.append([
                "\(segment.identity.level)", segment.identity.standing.retentionClass.name, "\(summary.spanCount)",
                "\(summary.traceCount)",
                NumberText.bytes(Int64(clamping: summary.byteCount)), time(summary.earliestStart),
                time(summary.latestStart), segment.path,
            ])
        }
        return table
    }

    private func json(_ segment: SegmentFacts) -> JSONValue {
        let summary = segment.summary
        let numbers: [(String, UInt64)] = [
            ("id", segment.identity.id), ("level", UInt64(segment.identity.level)),
            ("firstSequence", segment.identity.firstSequence), ("lastSequence", segment.identity.lastSequence),
            ("spans", summary.spanCount), ("traces", summary.traceCount), ("blocks", UInt64(segment.blocks)),
            ("bytes", summary.byteCount),
        ]
        let times: [(String, UInt64)] = [
            ("earliestStart", summary.earliestStart), ("latestStart", summary.latestStart),
            ("earliestArrival", summary.earliestArrival), ("latestArrival", summary.latestArrival),
        ]
        return .object(
            [
                ("file", .string(segment.path)),
                ("class", .string(segment.identity.standing.retentionClass.name)),
                ("halvings", .number("\(segment.identity.standing.thinning)")),
            ] + numbers.map { ($0.0, .number("\($0.1)")) }
                + times.map { ($0.0, .string(time($0.1))) })
    }

    private func time(_ nanoseconds: UInt64) -> String {
        TimestampText.format(unixNanoseconds: Int64(clamping: nanoseconds))
    }
}
