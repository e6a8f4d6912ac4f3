/// Metric series as rows.
enum SeriesTable {
    /// One row a series: labels and value, or count, mean and quantile of a histogram.
    static func values(_ series: [JSONValue], quantile: String?) -> Table {
        let histograms = series.contains { $0["count"] != nil }
        var headings: [(title: String, alignment: Table.Alignment)] = []
        if histograms {
            headings = [("COUNT", .right), ("MEAN", .right)]
            if let quantile { headings.append((quantileHeading(quantile), .right)) }
        } else {
            headings = [("VALUE", .right)]
        }
        var table = Table(headings + [("SERIES", .left)])
        for item in series {
            let name = item["name"]?.text ?? ""
            var cells: [String] = []
            if histograms {
                let count = item["count"]?.float ?? 0
                let mean = count > 0 ? item["sum"]?.float.map { $0 / count } : nil
                cells = [
                    item["count"]?.text ?? item["value"]?.text ?? "-", mean.map { measure($0, name) } ?? "-",
                ]
                if quantile != nil { cells.append(quantileValue(item).map { measure($0, name) } ?? "-") }
            } else {
                cells = [item["value"]?.float.map { NumberText.format($0) } ?? item["value"]?.text ?? "-"]
            }
            table.append(cells + [identity(name, item["labels"])])
        }
        return table
    }

    /// One row a name: type and number of series.
    static func names(_ series: [JSONValue]) -> Table {
        var counts: [(name: String, type: String, count: Int)] = []
        var index: [String: Int] = [:]
        for item in series {
            let name = item["name"]?.text ?? item.text ?? ""
            if let place = index[name] {
                counts[place].count += 1
            } else {
                index[name] = counts.count
                counts.append((name, item["type"]?.text ?? "", 1))
            }
        }
        var table = Table([("TYPE", .left), ("SERIES", .right), ("NAME", .left)])
        for entry in counts { table.append([entry.type, String(entry.count), entry.name]) }
        return table
    }

    /// `name{a="b",c="d"}`, as Prometheus writes it.
    static func identity(_ name: String, _ labels: JSONValue?) -> String {
        let pairs = labels?.members.map { $0.key + "=\"" + ($0.value.text ?? "") + "\"" } ?? []
        return pairs.isEmpty ? name : name + "{" + pairs.joined(separator: ",") + "}"
    }

    /// `P99` for 0.99, `P99.9` for 0.999.
    private static func quantileHeading(_ quantile: String) -> String {
        "P" + NumberText.format((Double(quantile) ?? 0) * 100)
    }

    /// The value may stand alone or beside the quantile that was asked for.
    private static func quantileValue(_ item: JSONValue) -> Double? {
        guard let quantile = item["quantile"] else { return nil }
        return quantile.float ?? quantile["value"]?.float
    }

    private static func measure(_ value: Double, _ name: String) -> String {
        guard name.hasSuffix("_seconds"), value.isFinite, value.magnitude < 9e9 else { return NumberText.format(value) }
        return DurationText.format(nanoseconds: Int64((value * 1e9).rounded()))
    }
}
