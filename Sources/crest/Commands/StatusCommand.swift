internal import ArgumentParser

/// `crest status`: how the daemon is.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how crestd is: version, listeners, store, limits.",
        discussion: """
            EXAMPLES:
              crest status
              crest status --server http://crest.internal:8400 -o json
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/status")
        if output == .json { return printJSON(answer) }
        var text = Output()
        let style = Style(enabled: Terminal.current().colors)
        for line in NestedText.lines(answer, heading: style.bold) { text.line(line) }
        text.flush()
    }
}
