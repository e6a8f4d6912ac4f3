internal import ArgumentParser

/// `crest explain LINE`: what becomes of a StatsD line, step by step.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Show what crestd makes of a StatsD line, step by step.",
        discussion: """
            The line goes through the running daemon's own decoder, profile, mapping and relabelling rules; nothing \
            is recorded. Ends with 1 when the line would be refused.

            EXAMPLES:
              crest explain 'http.server.requests:12|ms|#method:GET,uri:/pay,status:200'
              crest explain 'depth:-5|g' -o json
            """)

    @Argument(help: "The line as a client sends it.")
    var line: String

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().post(
            "/api/crest/v1/explain", contentType: "text/plain", body: line + "\n")
        let value: JSONValue
        do { value = try JSONParser.parse(answer.body) } catch {
            throw Failure.error("the server did not answer with JSON: \(error.reason)")
        }
        if output == .json {
            printJSON(value)
        } else {
            var text = Output()
            for line in ExplainText.lines(value) { text.line(line) }
            text.flush()
        }
        if ExplainText.isRejected(value) { throw Failure.error("the line would be refused") }
    }
}
