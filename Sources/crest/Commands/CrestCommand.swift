internal import ArgumentParser

/// The root command: only help, version and the list of subcommands.
struct CrestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crest",
        abstract: "Look up traces and metrics in a running crestd.",
        discussion: """
            Data goes to standard output, everything else to standard error. Colour only on a terminal; NO_COLOR \
            turns it off.

            EXAMPLES:
              crest services
              crest search --service gateway --min-duration 500ms --since 1h
              crest search --error --sort duration --limit 1 -o ids | crest trace -
              crest trace 0af7651916cd43dd8448eb211c80319c --attributes
              crest delete 0af7651916cd43dd8448eb211c80319c
              crest pin 0af7651916cd43dd8448eb211c80319c
              crest metrics get order_process_time_seconds --quantile 0.99
              crest explain 'order.count:1|c|#region:eu'
              crest ledger

            EXIT CODES:
              0 ok (an empty search too)   1 error         2 usage, a malformed id too
              3 unknown id                 4 auth          5 server unreachable
            """,
        version: "crest \(Version.text)",
        subcommands: [
            TraceCommand.self, DeleteCommand.self, SearchCommand.self, ServicesCommand.self, OperationsCommand.self,
            MetricsCommand.self, ExplainCommand.self, LedgerCommand.self, StatusCommand.self, SendCommand.self,
            PinCommand.self, UnpinCommand.self, PinsCommand.self, StoreCommand.self,
        ])
}

/// Where the daemon is.
struct ServerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where crestd answers (default: CREST_SERVER, or \(Server.standard)).", valueName: "url"))
    var server: String?

    func connect() throws(Failure) -> Server {
        try Server(server ?? Terminal.variable("CREST_SERVER") ?? Server.standard)
    }
}

/// The forms of a list: a table for people, JSON for programs.
enum ListFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json
}

/// Prints one answer as indented JSON.
func printJSON(_ value: JSONValue) {
    var output = Output()
    output.line(JSONWriter.pretty(value))
    output.flush()
}

/// Prints a table in the style of the terminal.
func printTable(_ table: Table) {
    let style = Style(enabled: Terminal.current().colors)
    var output = Output()
    for line in table.lines(style: style.bold) { output.line(line) }
    output.flush()
}
