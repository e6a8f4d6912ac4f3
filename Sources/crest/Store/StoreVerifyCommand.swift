internal import ArgumentParser
internal import SegmentStore

/// `crest store verify`: reads everything and says what is damaged.
struct StoreVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every checksum of a data directory or snapshot.",
        discussion: """
            Works on a stopped directory, which it locks, or on a snapshot, and changes nothing. Names each damage \
            with file, block and bytes. Exits 1 when there is any; a torn end of the log that was never \
            acknowledged is told and is none.

            EXAMPLES:
              crest store verify /var/lib/crest
              crest store verify crest-data/snapshots/20261125T200310.123Z -o json
            """)

    @Argument(help: "A data directory or the folder of a snapshot.")
    var directory: String

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    func run() throws {
        let stopped = try StoppedDirectory(directory)
        defer { stopped.close() }
        let found: StoreVerification
        do { found = try StoreVerification(stopped.disk) } catch { throw Failure.error("\(directory): \(error)") }
        let damages = found.findings.filter(\.isDamage).count
        if output == .json {
            printJSON(json(found))
        } else {
            var text = Output()
            for finding in found.findings {
                text.line((finding.isDamage ? "DAMAGED " : "note    ") + SafeText.escape(finding.description))
            }
            let size = NumberText.bytes(Int64(clamping: found.bytes))
            text.line("\(found.segments.count) segments, \(found.walFiles) WAL files, \(size): \(damages) damaged")
            text.flush()
        }
        if damages > 0 { throw Failure.error("\(directory): \(damages) damaged places") }
    }

    private func json(_ found: StoreVerification) -> JSONValue {
        let findings = found.findings.map { finding in
            var members: [(key: String, value: JSONValue)] = [("file", .string(finding.file))]
            if let block = finding.block { members.append(("block", .number("\(block)"))) }
            if let bytes = finding.bytes {
                members.append(("firstByte", .number("\(bytes.lowerBound)")))
                members.append(("endByte", .number("\(bytes.upperBound)")))
            }
            members.append(("damaged", .bool(finding.isDamage)))
            members.append(("reason", .string(finding.reason)))
            return JSONValue.object(members)
        }
        return .object([
            ("whole", .bool(found.isWhole)), ("segments", .number("\(found.segments.count)")),
            ("walFiles", .number("\(found.walFiles)")), ("walSpans", .number("\(found.walSpans)")),
            ("bytes", .number("\(found.bytes)")), ("findings", .array(findings)),
        ])
    }
}
