internal import ArgumentParser

/// `crest search`: which traces match, newest or slowest first, page by page.
struct SearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Find traces by service, operation, tags, duration, errors and time.",
        discussion: """
            All conditions must hold. One row is one trace; finding none is no error. When there is more, standard \
            error says how to get the next page.

            EXAMPLES:
              crest search --service order --error --since 15m
              crest search --service gateway --sort duration --limit 10
              crest search --tag http.response.status_code=503 --tag user.id=u-1042
              crest search --start 2026-11-11T00:00:00Z --end 2026-11-11T00:05:00Z --all -o jsonl
              crest search --min-duration 1s -o ids | crest trace -
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, jsonl, ids
    }

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case time, duration
    }

    @Option(name: .shortAndLong, help: "A span of this service.")
    var service: String?

    @Option(help: "A span with this name.")
    var operation: String?

    @Option(help: "A span of this kind: internal, server, client, producer or consumer.")
    var kind: String?

    @Option(
        name: .shortAndLong, parsing: .singleValue,
        help: ArgumentHelp("An attribute with this value; may be repeated.", valueName: "key=value"))
    var tag: [String] = []

    @Option(help: ArgumentHelp("At least this long: 250ms, 1.5s.", valueName: "duration"))
    var minDuration: String?

    @Option(help: ArgumentHelp("At most this long.", valueName: "duration"))
    var maxDuration: String?

    @Flag(help: "Only with errors.")
    var error = false

    @Option(help: ArgumentHelp("Started in the last 15m, 1h, 7d.", valueName: "duration"))
    var since: String?

    @Option(help: ArgumentHelp("Started at or after: RFC 3339 or Unix time.", valueName: "time"))
    var start: String?

    @Option(help: ArgumentHelp("Started at or before.", valueName: "time"))
    var end: String?

    @Option(name: [.customShort("n"), .long], help: "Traces in a page.")
    var limit = 20

    @Option(help: "time (newest first) or duration (slowest first).")
    var sort: Order = .time

    @Option(help: ArgumentHelp("Go on where a page ended.", valueName: "token"))
    var page: String?

    @Flag(help: "Fetch every page.")
    var all = false

    @Option(name: .shortAndLong, help: "table, json, jsonl (a trace a line) or ids.")
    var output: Format = .table

    @Flag(help: "Show times in this machine's zone instead of UTC.")
    var local = false

    @OptionGroup var server: ServerOptions

    func run() async throws {
        var query = try parameters()
        let server = try server.connect()
        var printer = SearchPrinter(format: output, local: local)
        var tokens: Set<String> = []
        while true {
            let answer = try await server.get("/api/crest/v1/search", query)
            printer.page(answer)
            guard let token = answer["next"]?.text, !token.isEmpty else { break }
            // A server that repeats itself must not keep this running for ever.
            guard all, tokens.insert(token).inserted else {
                printer.finish(next: all ? nil : token)
                if all { throw Failure.error("the server gave the same page twice") }
                Output.note("more: " + nextCommand(token, start: query.first { $0.name == "start" }?.value))
                return
            }
            query.removeAll { $0.name == "page" }
            query.append(("page", token))
        }
        printer.finish(next: nil)
    }

    /// The conditions as the server's parameters, checked as far as can be without it.
    private func parameters() throws(Failure) -> [(name: String, value: String)] {
        var query: [(name: String, value: String)] = []
        if let service { query.append(("service", service)) }
        if let operation { query.append(("operation", operation)) }
        if let kind { query.append(("kind", kind)) }
        for text in tag { query.append(("tag", try TagCondition.normalize(text, option: "--tag"))) }
        try append(&query, "min_duration", duration(minDuration, "--min-duration"))
        try append(&query, "max_duration", duration(maxDuration, "--max-duration"))
        if error { query.append(("error", "true")) }
        if let since {
            guard start == nil else { throw .usage("--since and --start say the same thing; give one") }
            guard let length = DurationText.parse(since) else { throw .usage(Self.notDuration("--since", since)) }
            query.append(("start", String(max(0, TimestampText.now() - length))))
        }
        try append(&query, "start", time(start, "--start"))
        try append(&query, "end", time(end, "--end"))
        guard limit > 0 else { throw .usage("--limit must be at least 1") }
        query.append(("limit", String(limit)))
        query.append(("sort", sort.rawValue))
        if let page { query.append(("page", page)) }
        return query
    }

    private func append(_ query: inout [(name: String, value: String)], _ name: String, _ value: String?) {
        if let value { query.append((name, value)) }
    }

    private func duration(_ text: String?, _ option: String) throws(Failure) -> String? {
        guard let text else { return nil }
        guard let nanoseconds = DurationText.parse(text) else { throw .usage(Self.notDuration(option, text)) }
        // Whole nanoseconds, because Go's durations know no days.
        return "\(nanoseconds)ns"
    }

    private func time(_ text: String?, _ option: String) throws(Failure) -> String? {
        guard let text else { return nil }
        guard TimestampText.isTime(text) else {
            throw .usage("\(option) '\(SafeText.escape(text))' is no time; write 2026-11-11T00:00:00Z or Unix time")
        }
        return text
    }

    private static func notDuration(_ option: String, _ text: String) -> String {
        "\(option) '\(SafeText.escape(text))' is no duration; write 250ms, 1.5s, 15m, 1h30m, 7d"
    }

    /// This command line with the page exchanged, ready to be pasted. A page belongs to the very same search, so the
    /// moment that `--since` meant is written out.
    private func nextCommand(_ token: String, start: String?) -> String {
        var words = Array(CommandLine.arguments.dropFirst())
        if since != nil, let start {
            words = ShellText.replacingOption("--start", with: start, dropping: ["--since"], in: words)
        }
        words = ShellText.replacingOption("--page", with: token, in: words)
        return (["crest"] + words.map(ShellText.quote)).joined(separator: " ")
    }
}
