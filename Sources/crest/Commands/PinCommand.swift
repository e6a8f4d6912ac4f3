internal import ArgumentParser

/// `crest pin ID...`: traces that retention leaves alone.
struct PinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Keep traces for as long as they are pinned, whatever their age.",
        discussion: """
            Neither age nor bytes remove a pinned trace, spans of it that come later included; only crest delete does. \
            A pin outlives restarts. 10,000 traces can be pinned; --retention-pinned-bytes of crestd may allow fewer.

            EXAMPLES:
              crest pin 0af7651916cd43dd8448eb211c80319c
              crest search --error --sort duration --limit 3 -o ids | crest pin -
            """)

    @Argument(help: "Trace ids of 1 to 32 hexadecimal digits; - reads them from standard input.")
    var ids: [String]

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let server = try server.connect()
        try await PinChange.apply(to: ids) { id, unknown async throws(Failure) in
            _ = try await server.post(
                "/api/crest/v1/traces/\(id)/pin", contentType: "application/json", body: "", unknown: unknown)
            Output.note("pinned \(id)")
        }
    }
}

/// `crest unpin ID...`: the opposite.
struct UnpinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin",
        abstract: "Let pinned traces go: retention then treats them like any other.",
        discussion: """
            EXAMPLES:
              crest unpin 0af7651916cd43dd8448eb211c80319c
              crest pins -o ids | crest unpin -
            """)

    @Argument(help: "Trace ids of 1 to 32 hexadecimal digits; - reads them from standard input.")
    var ids: [String]

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let server = try server.connect()
        try await PinChange.apply(to: ids) { id, unknown async throws(Failure) in
            try await server.delete("/api/crest/v1/traces/\(id)/pin", unknown: unknown)
            Output.note("unpinned \(id)")
        }
    }
}

/// `crest pins`: what is pinned.
struct PinsCommand: AsyncParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, json, ids
    }

    static let configuration = CommandConfiguration(
        commandName: "pins",
        abstract: "List pinned traces, newest first.",
        discussion: """
            EXAMPLES:
              crest pins
              crest pins -o ids | crest trace -
            """)

    @Option(name: .shortAndLong, help: "table, json or ids.")
    var output: Format = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/pins")
        if output == .json { return printJSON(answer) }
        let pins = answer["pins"]?.items ?? []
        if output == .table {
            if pins.isEmpty { return Output.note("no trace is pinned") }
            var table = Table([("TRACE", .left), ("PINNED", .left)])
            for pin in pins { table.append([pin["traceID"]?.text ?? "", pin["pinned"]?.text ?? ""]) }
            return printTable(table)
        }
        var text = Output()
        for pin in pins { text.line(SafeText.escape(pin["traceID"]?.text ?? "")) }
        text.flush()
    }
}

/// One request a trace; unknown traces are told at the end, after all others.
enum PinChange {
    static func apply(
        to ids: [String], _ change: (_ id: String, _ unknown: String) async throws(Failure) -> Void
    ) async throws {
        var missing: [String] = []
        for id in try TraceIdentifier.requested(ids) {
            do { try await change(id, "no trace with id \(id) is stored") } catch .unknown(let message) {
                missing.append(message)
            }
        }
        guard let last = missing.last else { return }
        for message in missing.dropLast() { Output.note("crest: " + message) }
        throw Failure.unknown(last)
    }
}
