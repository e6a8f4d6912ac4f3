internal import ArgumentParser

/// `crest metrics cardinality`: who makes the series.
struct CardinalityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cardinality",
        abstract: "Name the metrics, labels and sources with the most series.",
        discussion: """
            NEW/MIN are series that came in the last minute; REFUSED are keys that a limit sent to an overflow \
            series. A label with many VALUES is the one to take out of the code.

            EXAMPLES:
              crest metrics cardinality
              crest metrics cardinality --limit 5 -o json
            """)

    @Option(help: "How many metrics and sources are named, 1 to 1000.")
    var limit = 20

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/metrics/cardinality", [("limit", String(limit))])
        if output == .json { return printJSON(answer) }
        let families = answer["families"]?.items ?? []
        if families.isEmpty { return Output.note("no metric has been received yet") }
        printTable(Self.families(families))
        let sources = answer["sources"]?.items ?? []
        guard !sources.isEmpty else { return }
        printLine("")
        printTable(Self.sources(sources))
    }

    static func families(_ families: [JSONValue]) -> Table {
        var table = Table([
            ("SERIES", .right), ("NEW/MIN", .right), ("REFUSED", .right), ("NAME", .left), ("VALUES BY LABEL", .left),
        ])
        for family in families {
            let labels = (family["labels"]?.items ?? []).prefix(4).map { label in
                (label["name"]?.text ?? "") + "=" + number(label["values"])
            }
            table.append(counts(family) + [family["name"]?.text ?? "", labels.joined(separator: " ")])
        }
        return table
    }

    static func sources(_ sources: [JSONValue]) -> Table {
        var table = Table([("SERIES", .right), ("NEW/MIN", .right), ("REFUSED", .right), ("SOURCE", .left)])
        for source in sources { table.append(counts(source) + [source["name"]?.text ?? ""]) }
        return table
    }

    private static func counts(_ item: JSONValue) -> [String] {
        [number(item["series"]), number(item["addedPerMinute"]), number(item["refused"])]
    }

    private static func number(_ value: JSONValue?) -> String {
        value?.float.map { NumberText.format($0.rounded()) } ?? "-"
    }
}

/// `crest metrics conflicts`: metrics whose name another type has.
struct ConflictsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conflicts",
        abstract: "List the metrics that were renamed because another type has their name.",
        discussion: """
            EXAMPLES:
              crest metrics conflicts
              crest metrics conflicts -o json
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/metrics/conflicts")
        if output == .json { return printJSON(answer) }
        let conflicts = answer["conflicts"]?.items ?? []
        if conflicts.isEmpty { return Output.note("no two types share a name") }
        var table = Table([
            ("FIRST SEEN", .left), ("KEYS", .right), ("NAME", .left), ("KEPT BY", .left), ("NOW CALLED", .left),
            ("EXAMPLE", .left),
        ])
        for item in conflicts {
            func text(_ key: String) -> String { item[key]?.text ?? "" }
            table.append([
                text("firstSeen"), text("keys"), text("name"), "\(text("kept")) (\(text("keptType")))",
                "\(text("renamed")) (\(text("renamedType")))", text("example"),
            ])
        }
        printTable(table)
    }
}

/// `crest metrics top`: what grows fastest now.
struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show the busiest counters and histograms, refreshed every two seconds.",
        discussion: """
            RATE is the increase a second of a counter, or the observations a second of a histogram, over the last \
            5 to 10 seconds. Without a terminal, or with --once or -o json, it is printed once.

            EXAMPLES:
              crest metrics top
              crest metrics top --series --once
              crest metrics top --series --name order_count_total -o json
            """)

    @Flag(help: "Single series instead of whole metrics.")
    var series = false

    @Flag(help: "Print once and end.")
    var once = false

    @Option(help: "Only this metric.")
    var name: String?

    @Option(help: "How many rows, 1 to 1000.")
    var limit = 20

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        var query = [(name: "limit", value: String(limit)), (name: "by", value: series ? "series" : "family")]
        if let name { query.append(("name", name)) }
        let connection = try server.connect()
        let isRefreshed = !once && output == .table && Terminal.current().isInteractive
        while true {
            let answer = try await connection.get("/api/crest/v1/metrics/top", query)
            if output == .json { return printJSON(answer) }
            if isRefreshed { printLine("\u{1B}[H\u{1B}[2J") }
            let table = Self.table(answer)
            if table.isEmpty { Output.note("nothing has grown in the last seconds") } else { printTable(table) }
            guard isRefreshed else { return }
            try await Task.sleep(for: .seconds(2))
        }
    }

    static func table(_ answer: JSONValue) -> Table {
        var table = Table([("RATE", .right), ("SERIES", .right), ("TYPE", .left), ("NAME", .left)])
        for row in answer["rows"]?.items ?? [] {
            table.append([
                (row["perSecond"]?.float.map(NumberText.format) ?? "-") + "/s", row["series"]?.text ?? "",
                row["type"]?.text ?? "", SeriesTable.identity(row["name"]?.text ?? "", row["labels"]),
            ])
        }
        return table
    }
}

/// One line, in order with the tables around it.
private func printLine(_ text: String) {
    var output = Output()
    output.line(text)
    output.flush()
}
