internal import ArgumentParser
internal import HostIO

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
            MetricsCommand.self, ExplainCommand.self, LedgerCommand.self, StatusCommand.self,
            AdmissionCommand.self, SendCommand.self,
            PinCommand.self, UnpinCommand.self, PinsCommand.self, StoreCommand.self,
            TokenCommand.self,
        ])
}

/// Where the daemon is.
struct ServerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where crestd answers (default: CREST_SERVER, or \(Server.standard)).", valueName: "url"))
    var server: String?
    @Option(
        help: ArgumentHelp("The file that holds the access token (default: CREST_TOKEN, or none).", valueName: "file"))
    var tokenFile: String?

    func connect() throws(Failure) -> Server {
        var server = try Server(server ?? Terminal.variable("CREST_SERVER") ?? Server.standard)
        if let token = try token() { server.token = token }
        return server
    }

    private func token() throws(Failure) -> String? {
        guard let tokenFile else {
            guard let text = Terminal.variable("CREST_TOKEN") else { return nil }
            return try header(text, "CREST_TOKEN")
        }
        switch HostProcess.readFile(tokenFile, limit: 4_096) {
        case .success(let bytes): return try header(String(decoding: bytes, as: UTF8.self), tokenFile)
        case .failure(let failure): throw .error("\(SafeText.escape(tokenFile)): \(failure)")
        }
    }

    private func header(_ text: String, _ source: String) throws(Failure) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, words[0].utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .usage("\(SafeText.escape(source)) holds no token: one word is expected")
        }
        return String(words[0])
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
