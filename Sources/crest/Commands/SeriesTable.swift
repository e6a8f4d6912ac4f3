/// Metric series as rows.
enum SeriesTable {
    /// One row a series: labels and value, or count, mean and quantile of a histogram. Where a quantile was asked
    /// for and there are several series, the last row is the quantile over all of them.
    static func values(_ answer: JSONValue, quantile: String?, bars: RecentBars = .none) -> Table {
        let series = answer["series"]?.items ?? []
        guard series.contains(where: { $0["count"] != nil }) else { return plainValues(series, bars) }
        var headings: [(title: String, alignment: Table.Alignment)] = [("COUNT", .right), ("MEAN", .right)]
        if let quantile { headings.append((quantileHeading(quantile), .right)) }
        var table = Table(headings + barHeading(bars) + [("SERIES", .left)])
        for item in series {
            let name = item["name"]?.text ?? ""
            let count = item["count"]?.float ?? item["value"]?.float ?? 0
            let mean = count > 0 ? item["sum"]?.float.map { $0 / count } : nil
            var cells = [NumberText.format(count), mean.map { measure($0, name) } ?? "-"]
            if quantile != nil { cells.append(quantileValue(item).map { measure($0, name) } ?? "-") }
            let title = identity(name, item["labels"])
            table.append(cells + (bars.isEmpty ? [] : [bars[title]]) + [title])
        }
        if quantile != nil, series.count > 1, let overall = quantileValue(answer) {
            let count = answer["quantile"]?["observations"]?.float.map(NumberText.format) ?? ""
            let cells = [count, "", measure(overall, series.first?["name"]?.text ?? "")]
            table.append(cells + (bars.isEmpty ? [] : [""]) + ["(all of them)"])
        }
        return table
    }

    private static func barHeading(_ bars: RecentBars) -> [(title: String, alignment: Table.Alignment)] {
        bars.isEmpty ? [] : [("LAST 5 MIN", .left)]
    }

    private static func plainValues(_ series: [JSONValue], _ bars: RecentBars) -> Table {
        var table = Table([("VALUE", .right)] + barHeading(bars) + [("SERIES", .left)])
        for item in series {
            let value = item["value"]?.float.map(NumberText.format) ?? item["value"]?.text ?? "-"
            let title = identity(item["name"]?.text ?? "", item["labels"])
            table.append([value] + (bars.isEmpty ? [] : [bars[title]]) + [title])
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

    static func measure(_ value: Double, _ name: String) -> String {
        guard name.hasSuffix("_seconds"), value.isFinite, value.magnitude < 9e9 else { return NumberText.format(value) }
        return DurationText.format(nanoseconds: Int64((value * 1e9).rounded()))
    }
}
