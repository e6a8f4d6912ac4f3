/// Prints the pages of a search as they come.
struct SearchPrinter {
    let format: SearchCommand.Format
    let local: Bool
    private var traces: [JSONValue] = []

    init(format: SearchCommand.Format, local: Bool) {
        self.format = format
        self.local = local
    }

    /// Lines are printed at once; a table and a JSON document wait for `finish`.
    mutating func page(_ answer: JSONValue) {
        let found = answer["traces"]?.items ?? []
        var output = Output()
        switch format {
        case .table, .json: traces += found
        case .jsonl: for trace in found { output.line(JSONWriter.compact(trace)) }
        case .ids: for trace in found { output.line(SafeText.escape(Self.id(trace))) }
        }
        output.flush()
    }

    /// - Parameter next: the token of the next page, for the JSON document.
    func finish(next: String?) {
        switch format {
        case .table:
            if traces.isEmpty { Output.note("no trace matches") } else { printTable(table()) }
        case .json:
            printJSON(.object([("traces", .array(traces)), ("next", next.map { .string($0) } ?? .null)]))
        case .jsonl, .ids: break
        }
    }

    private func table() -> Table {
        var table = Table([
            ("TRACE", .left), ("START", .left), ("DURATION", .right), ("SPANS", .right), ("ERRORS", .right),
            ("SERVICE", .left), ("OPERATION", .left),
        ])
        for trace in traces {
            let start = trace["startUnixNano"]?.integer
            table.append([
                Self.id(trace),
                start.map { TimestampText.format(unixNanoseconds: $0, local: local) } ?? trace["start"]?.text ?? "",
                DurationText.format(nanoseconds: trace["durationNanos"]?.integer ?? 0),
                trace["spanCount"]?.text ?? "", trace["errorCount"]?.text ?? "",
                trace["rootService"]?.text ?? "", trace["rootName"]?.text ?? "",
            ])
        }
        return table
    }

    private static func id(_ trace: JSONValue) -> String { trace["traceID"]?.text ?? trace["traceId"]?.text ?? "" }
}
