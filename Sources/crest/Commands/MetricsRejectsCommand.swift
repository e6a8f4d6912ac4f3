internal import ArgumentParser

/// `crest metrics rejects`: why metric lines were refused.
struct MetricsRejectsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejects",
        abstract: "Show why metric lines were refused, how many, and the last of each kind.",
        discussion: """
            EXAMPLES:
              crest metrics rejects
              crest metrics rejects -o json
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/rejects")
        if output == .json { return printJSON(answer) }
        let rejects = answer["rejects"]?.items ?? []
        guard !rejects.isEmpty else { return Output.note("no metric line has been refused") }
        var table = Table([("COUNT", .right), ("REASON", .left), ("LAST EXAMPLE", .left)])
        for reject in rejects {
            let example = reject["example"]
            var line = SafeText.escape(example?["line"]?.text ?? "")
            if example?["isCut"]?.boolean == true { line += "..." }
            let count = reject["count"]?.float.map(NumberText.format) ?? "-"
            table.append([count, reject["reason"]?.text ?? "", line.isEmpty ? "-" : line])
        }
        printTable(table)
    }
}
