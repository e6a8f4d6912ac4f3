internal import ArgumentParser

/// `crest send`: one trace or a few metric lines, to check a set-up.
struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send a test trace or StatsD lines, to check that crestd takes them.",
        discussion: """
            Without --line a trace of three spans is sent over OTLP; its id is printed once crestd has acknowledged \
            it, and that is when it can be read.

            EXAMPLES:
              crest send
              crest trace "$(crest send)"
              crest send --service checkout --error 'payment declined'
              crest send --line 'order.count:1|c|#region:eu'
            """)

    @Option(name: .shortAndLong, help: "The service that the trace claims to come from.")
    var service = "crest-send"

    @Option(name: .shortAndLong, help: "The name of the root span.")
    var name = "test"

    @Option(help: ArgumentHelp("Mark the last span as failed with this message.", valueName: "message"))
    var error: String?

    @Option(
        name: .shortAndLong, parsing: .singleValue,
        help: ArgumentHelp("Send this StatsD line instead; may be repeated.", valueName: "statsd"))
    var line: [String] = []

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let server = try server.connect()
        guard line.isEmpty else {
            let answer = try await server.post(
                "/api/v1/statsd", contentType: "text/plain", body: line.joined(separator: "\n") + "\n")
            return printAnswer(answer)
        }
        let trace = TestTrace(service: service, name: name, error: error, now: TimestampText.now())
        let answer = try await server.post(
            "/v1/traces", contentType: "application/json", body: JSONWriter.compact(trace.request))
        if let partial = (try? JSONParser.parse(answer.body))?["partialSuccess"],
            let rejected = partial["rejectedSpans"]?.integer, rejected > 0
        {
            let reason = SafeText.escape(partial["errorMessage"]?.text ?? "no reason given")
            throw Failure.error("\(server.base) rejected \(rejected) spans: \(reason)")
        }
        var output = Output()
        output.line(trace.id)
        output.flush()
        Output.note("stored; look at it with: crest trace \(trace.id)")
    }

    private func printAnswer(_ answer: Server.Answer) {
        var output = Output()
        if let value = try? JSONParser.parse(answer.body) {
            output.line(JSONWriter.compact(value))
        } else {
            output.line(SafeText.escape(String(decoding: answer.body, as: UTF8.self)))
        }
        output.flush()
    }
}
