internal import ArgumentParser

/// `crest services`: who has sent spans.
struct ServicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "services",
        abstract: "List the services that have sent spans, one a line.",
        discussion: """
            EXAMPLES:
              crest services
              crest services | xargs -n1 crest ops
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/services")
        if output == .json { return printJSON(answer) }
        let names = answer["services"]?.items.map { $0.text ?? $0["name"]?.text ?? "" } ?? []
        if names.isEmpty { Output.note("no service has sent spans yet") }
        var text = Output()
        for name in names { text.line(SafeText.escape(name)) }
        text.flush()
    }
}

/// `crest ops SERVICE`: the names of a service's spans.
struct OperationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ops",
        abstract: "List the operations of a service.",
        discussion: """
            EXAMPLES:
              crest ops gateway
              crest ops --service order -o json
            """)

    @Argument(help: "The service's name, as crest services prints it.")
    var name: String?

    @Option(name: .shortAndLong, help: "The same as an option.")
    var service: String?

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let names = [name, service].compactMap { $0 }.filter { !$0.isEmpty }
        guard let wanted = names.first, names.allSatisfy({ $0 == wanted }) else {
            throw Failure.usage(names.isEmpty ? "which service? crest ops SERVICE" : "two services; ask for one")
        }
        let answer = try await server.connect().get("/api/crest/v1/operations", [("service", wanted)])
        if output == .json { return printJSON(answer) }
        let operations = answer["operations"]?.items ?? []
        if operations.isEmpty {
            return Output.note("no operation of '\(SafeText.escape(wanted))' is known; crest services lists who is")
        }
        var table = Table([("KIND", .left), ("OPERATION", .left)])
        for operation in operations {
            table.append([operation["kind"]?.text ?? "", operation["name"]?.text ?? operation.text ?? ""])
        }
        printTable(table)
    }
}
