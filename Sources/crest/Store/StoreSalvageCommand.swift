internal import ArgumentParser
internal import HostIO
internal import SegmentStore

/// `crest store salvage`: a clean data directory out of a damaged one.
struct StoreSalvageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "salvage",
        abstract: "Build a clean data directory out of what a damaged one still has.",
        discussion: """
            Works on a stopped directory, which it locks and only reads; not under load. Lost or damaged META and \
            MANIFEST are made anew, of damaged segments the readable blocks are kept, of damaged WAL groups the \
            readable records, and segments that a start set aside in quarantine are looked through as well. The \
            result is ready for crestd --data-dir. Snapshots are not taken over.

            Says what could not be saved: file, bytes, spans, time. It is counted as lost in the new directory's \
            ledger (crest ledger, crest_spans_lost_total). A torn end of the log is ambiguous when no later bytes \
            tell whether it had been acknowledged; it is told and not counted.

            EXIT CODES:
              0 everything was saved   1 something was lost, or nothing could be written   2 usage

            EXAMPLES:
              crest store salvage /var/lib/crest --dry-run
              crest store salvage /var/lib/crest --to /var/lib/crest-salvaged
              crest store salvage /var/lib/crest --to /var/lib/crest-salvaged -o json
            """)

    @Argument(help: "The damaged data directory.")
    var directory: String

    @Option(help: ArgumentHelp("An empty directory, or one to be made, outside of the damaged one.", valueName: "dir"))
    var to: String?

    @Flag(help: "Only say what would be saved and lost; write nothing.")
    var dryRun = false

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    func validate() throws {
        guard let to else {
            if !dryRun { throw ValidationError("--to DIR or --dry-run is needed") }
            return
        }
        if dryRun { throw ValidationError("--to and --dry-run exclude each other") }
        let source = directory.hasSuffix("/") ? directory : directory + "/"
        if (to + "/").hasPrefix(source) { throw ValidationError("--to must be outside of \(directory)") }
    }

    func run() throws {
        let stopped = try StoppedDirectory(directory)
        defer { stopped.close() }
        let report: SalvageReport
        do {
            let target = try to.map { path throws(DiskError) in try HostDisk(path) }
            let configuration = StoreConfiguration(wallClock: SystemClock.now)
            var salvage = StoreSalvage(from: stopped.disk, to: target, configuration: configuration)
            report = try salvage.run()
        } catch let error as SalvageError {
            throw Failure.error("\(directory): \(error)")
        } catch let error as DiskError {
            throw Failure.error("\(to ?? directory): \(error)")
        }
        if output == .json { printJSON(SalvageText.json(report)) } else { show(report) }
        if !report.isComplete { throw Failure.error("\(directory): \(SalvageText.lost(report))") }
    }

    private func show(_ report: SalvageReport) {
        var text = Output()
        for loss in report.losses { text.line("LOST    " + SafeText.escape(SalvageText.line(loss))) }
        for note in report.notes {
            text.line((note.isDamage ? "damaged " : "note    ") + SafeText.escape(note.description))
        }
        let verb = dryRun ? "would be saved" : "saved to \(to ?? "")"
        let (segments, wal) = (report.segmentSpans, report.walSpans)
        text.line(
            "\(segments &+ wal) spans \(verb): \(segments) from \(report.wholeSegments) whole and "
                + "\(report.rewrittenSegments) damaged segments, \(wal) from the WAL; "
                + "\(report.metricsFiles) metrics log files")
        if report.looseRecords > 0 { text.line("\(report.looseRecords) records saved out of damaged WAL groups") }
        if report.ambiguousRecords > 0 {
            text.line("\(report.ambiguousRecords) records at the torn end of the WAL are ambiguous")
        }
        text.line(report.isComplete ? "nothing was lost" : SalvageText.lost(report))
        text.flush()
    }
}

/// What a salvage reports, as text and as JSON.
enum SalvageText {
    static func lost(_ report: SalvageReport) -> String {
        let isExact = report.losses.allSatisfy { $0.spans != nil }
        return "\(isExact ? "" : "at least ")\(report.lostSpans) spans lost in \(report.losses.count) places"
    }

    /// `segments/x.seg block 3 bytes 64..<900: 16 spans, starts 2026-… to 2026-…: checksum of duration`.
    static func line(_ loss: SalvageLoss) -> String {
        var text = loss.file ?? "WAL"
        if let block = loss.block { text += " block \(block)" }
        if let bytes = loss.bytes { text += " bytes \(bytes.lowerBound)..<\(bytes.upperBound)" }
        text += ": " + (loss.spans.map { "\($0) spans" } ?? "an unknown number of spans")
        if loss.block == nil, let sequences = loss.sequences {
            text += ", records \(sequences.lowerBound)-\(sequences.upperBound)"
        }
        if let times = loss.times {
            let verb = loss.block == nil ? "committed" : "started"
            let last = times.upperBound == .max ? "the end" : time(times.upperBound)
            text += ", \(verb) \(time(times.lowerBound)) to \(last)"
        }
        return text + ": " + loss.reason
    }

    private static func time(_ nanoseconds: UInt64) -> String {
        TimestampText.format(unixNanoseconds: Int64(clamping: nanoseconds))
    }

    static func json(_ report: SalvageReport) -> JSONValue {
        let numbers: [(String, UInt64)] = [
            ("segmentSpans", report.segmentSpans), ("walSpans", report.walSpans), ("lostSpans", report.lostSpans),
            ("wholeSegments", UInt64(report.wholeSegments)), ("rewrittenSegments", UInt64(report.rewrittenSegments)),
            ("lostSegments", UInt64(report.lostSegments)), ("looseRecords", UInt64(report.looseRecords)),
            ("ambiguousRecords", UInt64(report.ambiguousRecords)), ("metricsFiles", UInt64(report.metricsFiles)),
        ]
        var members: [(key: String, value: JSONValue)] = [("complete", .bool(report.isComplete))]
        for (name, value) in numbers { members.append((name, .number("\(value)"))) }
        members.append(("lost", .array(report.losses.map { json($0) })))
        members.append(("notes", .array(report.notes.map { json($0) })))
        return .object(members)
    }

    private static func json(_ loss: SalvageLoss) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [("file", loss.file.map { JSONValue.string($0) } ?? .null)]
        if let block = loss.block { members.append(("block", .number("\(block)"))) }
        if let bytes = loss.bytes {
            members.append(("firstByte", .number("\(bytes.lowerBound)")))
            members.append(("endByte", .number("\(bytes.upperBound)")))
        }
        if let sequences = loss.sequences {
            members.append(("firstSequence", .number("\(sequences.lowerBound)")))
            members.append(("lastSequence", .number("\(sequences.upperBound)")))
        }
        members.append(("spans", loss.spans.map { JSONValue.number("\($0)") } ?? .null))
        if let times = loss.times {
            let kind = loss.block == nil ? "Commit" : "Start"
            members.append(("earliest\(kind)", .string(time(times.lowerBound))))
            members.append(("latest\(kind)", times.upperBound == .max ? .null : .string(time(times.upperBound))))
        }
        members.append(("reason", .string(loss.reason)))
        return .object(members)
    }

    private static func json(_ note: StoreFinding) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [("file", .string(note.file))]
        if let block = note.block { members.append(("block", .number("\(block)"))) }
        if let bytes = note.bytes {
            members.append(("firstByte", .number("\(bytes.lowerBound)")))
            members.append(("endByte", .number("\(bytes.upperBound)")))
        }
        members.append(("damaged", .bool(note.isDamage)))
        members.append(("reason", .string(note.reason)))
        return .object(members)
    }
}
