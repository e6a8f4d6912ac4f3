internal import ArgumentParser

/// `crest ledger`: what came in and what became of it.
struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Show what came in and what became of it, and whether that balances.",
        discussion: """
            Every datagram, line and span that came in is in exactly one term. Exits 1 when the ledger does not \
            balance.

            EXAMPLES:
              crest ledger
              crest ledger -o json | jq .spans
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/ledger")
        switch output {
        case .json: printJSON(answer)
        case .table:
            let style = Style(enabled: Terminal.current().colors)
            var text = Output()
            for line in LedgerText.lines(answer, style: style) { text.line(line) }
            text.flush()
        }
        guard answer["balanced"]?.boolean != false else { throw Failure.error("the ledger does not balance") }
    }
}
