internal import ArgumentParser

/// `crest trace ID...`: one trace as a waterfall.
struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Show a trace as a waterfall.",
        discussion: """
            Spans are drawn under their parents with start, duration and a bar; a cross marks errors. Spans whose \
            parent never arrived hang under a line that names it. A line `clocks:` names hosts whose clocks disagree; \
            times are shown as they were sent.

            EXAMPLES:
              crest trace 0af7651916cd43dd8448eb211c80319c
              crest trace 0af7651916cd43dd8448eb211c80319c -a        with attributes, events and links
              crest trace 0af7651916cd43dd8448eb211c80319c -o json | jq .resourceSpans
              crest search --error -o ids | crest trace -
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case tree, json, ids
    }

    @Argument(help: "Trace ids of 1 to 32 hexadecimal digits; - reads them from standard input.")
    var ids: [String]

    @Flag(name: [.short, .long], help: "Show attributes, events, links and resources.")
    var attributes = false

    @Option(name: .shortAndLong, help: "tree, json (OTLP spans under a summary) or ids (span ids).")
    var output: Format = .tree

    @Option(help: ArgumentHelp("Width of the picture (default: the terminal's).", valueName: "columns"))
    var width: Int?

    @Flag(help: "Show times in this machine's zone instead of UTC.")
    var local = false

    @OptionGroup var server: ServerOptions

    func validate() throws {
        if let width, !(20...10_000).contains(width) { throw ValidationError("--width must be 20 to 10000.") }
    }

    func run() async throws {
        let wanted = try TraceIdentifier.requested(ids)
        let server = try server.connect()
        var missing: [String] = []
        for (position, id) in wanted.enumerated() {
            do {
                let answer = try await server.get(
                    "/api/crest/v1/traces/\(id)", unknown: "no trace with id \(id) is stored")
                show(answer, id: id, isFirst: position == 0, isOnly: wanted.count == 1)
            } catch .unknown(let message) {
                missing.append(message)
            }
        }
        guard let last = missing.last else { return }
        for message in missing.dropLast() { Output.note("crest: " + message) }
        throw Failure.unknown(last)
    }

    private func show(_ answer: JSONValue, id: String, isFirst: Bool, isOnly: Bool) {
        var text = Output()
        switch output {
        case .json: text.line(isOnly ? JSONWriter.pretty(answer) : JSONWriter.compact(answer))
        case .ids:
            let document = TraceDocument(answer, id: id)
            for index in TraceTree(document.spans).spanOrder { text.line(SafeText.escape(document.spans[index].id)) }
        case .tree:
            if !isFirst { text.line("") }
            waterfall(TraceDocument(answer, id: id)).draw { text.line($0) }
        }
        text.flush()
    }

    private func waterfall(_ document: TraceDocument) -> Waterfall {
        let terminal = Terminal.current()
        return Waterfall(
            document: document, columns: width ?? terminal.columns,
            cutsNames: terminal.isInteractive || width != nil, showsAttributes: attributes, localTime: local,
            style: Style(enabled: terminal.colors), glyphs: Glyphs(unicode: terminal.unicode))
    }
}
