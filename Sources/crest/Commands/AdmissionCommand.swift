internal import ArgumentParser

/// `crest admission`: how loaded crestd is, and who sends what.
struct AdmissionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admission",
        abstract: "Show how loaded crestd is, and what each tenant sent in the last minute.",
        discussion: """
            The state goes by what requests hold of their memory: green, yellow from 60 %, orange from 75 %, red \
            beyond 85 %, where nothing new is let in. REFUSED are requests answered with 429 or 503.

            EXAMPLES:
              crest admission
              crest admission -o json
            """)

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let answer = try await server.connect().get("/api/crest/v1/admission")
        if output == .json { return printJSON(answer) }
        let memory = answer["memory"]
        var head = Output()
        head.line(
            "\(answer["state"]?.text ?? "?"), load \(Self.number(answer["load"])) %: requests hold "
                + "\(Self.number(memory?["reservedBytes"])) of \(Self.number(memory?["requestBytes"])) bytes, "
                + "the process \(Self.number(memory?["residentBytes"])) of \(Self.number(memory?["limitBytes"]))")
        head.flush()
        let tenants = answer["tenants"]?.items ?? []
        if tenants.isEmpty { return Output.note("nothing has been sent yet") }
        printTable(Self.table(tenants))
    }

    static func table(_ tenants: [JSONValue]) -> Table {
        var table = Table([
            ("REQUESTS", .right), ("BYTES", .right), ("SPANS", .right), ("REFUSED", .right), ("TENANT", .left),
        ])
        for tenant in tenants {
            table.append(
                ["requests", "bytes", "spans", "refused"].map { number(tenant[$0]) }
                    + [SafeText.escape(tenant["tenant"]?.text ?? "")])
        }
        return table
    }

    private static func number(_ value: JSONValue?) -> String { value?.text ?? "?" }
}
