internal import ArgumentParser

/// `crest metrics range NAME`: what was recorded, second by second.
struct MetricsRangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "range",
        abstract: "Show how series went, second by second.",
        discussion: """
            Counters show what was added a second, gauges their values, histograms their observations a second or, \
            with --quantile, that quantile of each second. The bars share the time from left to right; PEAK is the \
            greatest of one second (or of one --step).

            EXAMPLES:
              crest metrics range order_count_total
              crest metrics range order_process_time_seconds --quantile 0.99 --since 1h
              crest metrics range http_requests_total --label 'status=~5..' --since 10m -o json
            """)

    private static let mostSteps: Int64 = 3_600
    private static let widestBars = 60

    @Argument(help: "The metric's name, as on /metrics.")
    var name: String

    @Option(help: ArgumentHelp("How far back: 5m, 1h.", valueName: "duration"))
    var since = "5m"

    @Option(help: ArgumentHelp("Seconds taken together: 1s, 10s; by default as few as fit.", valueName: "duration"))
    var step: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A quantile of a histogram, 0 to 1: 0.5, 0.99.", valueName: "q"))
    var quantile: String?

    @Option(
        name: .shortAndLong, parsing: .singleValue,
        help: ArgumentHelp("Only series with this label (=, !=, =~, !~); may be repeated.", valueName: "key=value"))
    var label: [String] = []

    @Option(name: .shortAndLong, help: "table or json.")
    var output: ListFormat = .table

    @OptionGroup var server: ServerOptions

    func run() async throws {
        guard !name.isEmpty else { throw Failure.usage("a metric's name cannot be empty") }
        let seconds = try seconds(since, option: "--since")
        let chosen = try step.map { try self.seconds($0, option: "--step") }
        let end = TimestampText.now() / 1_000_000_000
        var query = [
            (name: "name", value: name), ("from", "\(end - seconds + 1)"), ("to", "\(end)"),
            ("step", "\(chosen ?? (seconds - 1) / Self.mostSteps + 1)s"), ("limit", "1000"),
        ]
        if let quantile {
            guard let value = Double(quantile), (0...1).contains(value) else {
                throw Failure.usage("--quantile '\(SafeText.escape(quantile))' must be a number from 0 to 1")
            }
            query.append(("quantile", quantile))
        }
        for text in label { query.append(("label", text)) }
        let answer = try await server.connect().get("/api/crest/v1/series/range", query)
        let series = answer["series"]?.items ?? []
        guard !series.isEmpty else {
            throw Failure.unknown("nothing recorded of '\(SafeText.escape(name))' in the last \(since)")
        }
        if output == .json { return printJSON(answer) }
        printTable(RangeTable(answer, terminal: .current(), widest: Self.widestBars).table(series))
        if let damaged = answer["damagedChunks"]?.float, damaged > 0 {
            Output.note("some recorded seconds are damaged and left out")
        }
    }

    private func seconds(_ text: String, option: String) throws(Failure) -> Int64 {
        guard let nanoseconds = DurationText.parse(text), nanoseconds >= 1_000_000_000 else {
            throw .usage("\(option) '\(SafeText.escape(text))' must be a duration of at least 1s, such as 5m")
        }
        return nanoseconds / 1_000_000_000
    }
}

/// Recorded series as rows with bars.
struct RangeTable {
    private let from: Double
    private let seconds: Double
    private let columns: Int
    private let unicode: Bool

    init(_ answer: JSONValue, terminal: Terminal, widest: Int) {
        from = answer["from"]?.float ?? 0
        let step = max(answer["step"]?.float ?? 1, 1)
        seconds = max((answer["to"]?.float ?? from) - from + 1, step)
        columns = max(min(widest, terminal.columns / 2, Int(min(seconds / step, 1e6))), 1)
        unicode = terminal.unicode
    }

    func table(_ series: [JSONValue]) -> Table {
        var table = Table([
            ("PEAK", .right), ("LAST", .right), ("TOTAL", .right), ("SECONDS", .left), ("SERIES", .left),
        ])
        for item in series { table.append(row(item)) }
        return table
    }

    /// The bars alone, by series.
    func bars(_ series: [JSONValue]) -> [String: String] {
        Dictionary(
            series.map { item in
                let cells = row(item)
                return (cells[4], cells[3])
            }, uniquingKeysWith: { first, _ in first })
    }

    private func row(_ item: JSONValue) -> [String] {
        let name = item["name"]?.text ?? ""
        let times = numbers(item["time"])
        let kind = item["type"]?.text
        var values: [Double]
        var peaks: [Double]
        var joining = Sparkline.Joining.sum
        var total = ""
        if let first = item["quantiles"]?.items.first {
            values = numbers(first["values"])
            peaks = values
            joining = .greatest
            total = NumberText.format(numbers(item["count"]).reduce(0, +))
        } else if kind == "gauge" {
            values = numbers(item["last"])
            peaks = numbers(item["max"])
            joining = .last
        } else {
            values = numbers(item[kind == "histogram" ? "count" : "delta"])
            peaks = values
            total = NumberText.format(values.reduce(0, +))
        }
        if values.isEmpty, let before = item["before"]?.float { (values, peaks) = ([before], [before]) }
        let cells = Sparkline.cells(
            times: times, values: values, from: from, seconds: seconds, count: columns, joining: joining)
        let isMeasure = joining != .sum
        let text = { (value: Double?) in
            value.map { isMeasure ? SeriesTable.measure($0, name) : NumberText.format($0) } ?? "-"
        }
        return [
            text(peaks.max()), text(values.last), total,
            Sparkline.text(cells, base: joining == .last ? nil : 0, unicode: unicode),
            SeriesTable.identity(name, item["labels"]),
        ]
    }

    private func numbers(_ value: JSONValue?) -> [Double] { value?.items.map { $0.float ?? .nan } ?? [] }
}
