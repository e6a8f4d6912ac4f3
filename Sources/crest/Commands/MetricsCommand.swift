internal import ArgumentParser

/// `crest metrics`: what the metrics engine holds now.
struct MetricsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Show metric series as they are now, and how they went.",
        discussion: """
            EXAMPLES:
              crest metrics list
              crest metrics rejects
              crest metrics get order_count_total
              crest metrics get order_process_time_seconds --quantile 0.99
              crest metrics get http_requests_total --label status=500 -o json
              crest metrics range order_count_total --since 10m
            """,
        subcommands: [
            Get.self, List.self, TopCommand.self, MetricsRangeCommand.self, CardinalityCommand.self,
            ConflictsCommand.self, MetricsRejectsCommand.self,
        ])

    private static func noteCut(_ answer: JSONValue) {
        if answer["isCut"]?.boolean == true { Output.note("there are more series than the server gives at once") }
    }

    /// `crest metrics get NAME`.
    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "get",
            abstract: "Show the series of one metric.",
            discussion: """
                NAME is the name Prometheus sees on /metrics, without _bucket, _sum or _count for histograms. \
                Values of *_seconds are shown as durations in the table and in seconds in JSON. The bars are what a \
                counter or a histogram grew by, or what a gauge was, in the last five minutes.

                EXAMPLES:
                  crest metrics get order_count_total
                  crest metrics get order_process_time_seconds --quantile 0.99
                  crest metrics get http_requests_total --label status=500 --label method=POST
                """)

        @Argument(help: "The metric's name.")
        var name: String

        @Option(
            name: .shortAndLong,
            help: ArgumentHelp("A quantile of a histogram, 0 to 1: 0.5, 0.99.", valueName: "q"))
        var quantile: String?

        @Option(
            name: .shortAndLong, parsing: .singleValue,
            help: ArgumentHelp("Only series with this label; may be repeated.", valueName: "key=value"))
        var label: [String] = []

        @Option(name: .shortAndLong, help: "table or json.")
        var output: ListFormat = .table

        @OptionGroup var server: ServerOptions

        func run() async throws {
            guard !name.isEmpty else { throw Failure.usage("a metric's name cannot be empty") }
            var query = [(name: "name", value: name)]
            if let quantile {
                guard let value = Double(quantile), (0...1).contains(value) else {
                    throw Failure.usage("--quantile '\(SafeText.escape(quantile))' must be a number from 0 to 1")
                }
                query.append(("quantile", quantile))
            }
            var conditions: [(name: String, value: String)] = []
            for text in label { conditions.append(("label", try TagCondition.normalize(text, option: "--label"))) }
            query += conditions
            let nothing = "no series named '\(SafeText.escape(name))'" + (label.isEmpty ? "" : " with these labels")
            let connection = try server.connect()
            let answer = try await connection.get("/api/crest/v1/series", query, unknown: nothing)
            let series = answer["series"]?.items ?? []
            guard !series.isEmpty else { throw Failure.unknown(nothing) }
            if output == .json { return printJSON(answer) }
            let bars = await RecentBars(of: name, conditions, from: connection)
            printTable(SeriesTable.values(answer, quantile: quantile, bars: bars))
            MetricsCommand.noteCut(answer)
        }
    }

    /// `crest metrics list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the metrics with their types and numbers of series.",
            discussion: """
                EXAMPLES:
                  crest metrics list
                  crest metrics list -o json
                """)

        @Option(name: .shortAndLong, help: "table or json.")
        var output: ListFormat = .table

        @OptionGroup var server: ServerOptions

        func run() async throws {
            let answer = try await server.connect().get("/api/crest/v1/series", [("limit", "100000")])
            if output == .json { return printJSON(answer) }
            let table = SeriesTable.names(answer["series"]?.items ?? [])
            if table.isEmpty { return Output.note("no metric has been received yet") }
            printTable(table)
            MetricsCommand.noteCut(answer)
        }
    }
}
