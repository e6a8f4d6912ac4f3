internal import ArgumentParser

/// `crest delete ID...`: traces out of the store.
struct DeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete traces by id.",
        discussion: """
            A deleted trace is in no answer any more when this returns, and that outlives a crash; its bytes leave the \
            disk with the next compaction. Spans that arrive later under the same id are kept. Nothing can be undone.

            EXAMPLES:
              crest delete 0af7651916cd43dd8448eb211c80319c
              crest search --service load-test -o ids | crest delete -
            """)

    @Argument(help: "Trace ids of 1 to 32 hexadecimal digits; - reads them from standard input.")
    var ids: [String]

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let wanted = try TraceIdentifier.requested(ids)
        let server = try server.connect()
        var missing: [String] = []
        for id in wanted {
            do {
                try await server.delete("/api/crest/v1/traces/\(id)", unknown: "no trace with id \(id) is stored")
                Output.note("deleted \(id)")
            } catch .unknown(let message) {
                missing.append(message)
            }
        }
        guard let last = missing.last else { return }
        for message in missing.dropLast() { Output.note("crest: " + message) }
        throw Failure.unknown(last)
    }
}
